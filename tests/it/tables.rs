//! How a status is shown as tables.

use libtest_mimic::Trial;

use crate::harness::cases;

use anstream::adapter::strip_str;
use fedctl::output::{
    screen::{Size, frame},
    status::{Extent, changes, render},
};
use fedctl_model::{
    observed::Resource,
    site::Unavailable,
    status::{
        BrokerState, BrokerStatus, Condition, LastKnown, LinkRef, LinkState, LinkStatus, Reason,
        RegionStatus, ServiceStatus, Status, Watched,
    },
    topology::RegionName,
};
use jiff::Zoned;

fn status(regions: Vec<RegionStatus>, links: Vec<LinkStatus>) -> Status {
    Status { version: 1, project: "shop".into(), regions, links, warnings: vec![] }
}

/// A region whose broker and services run.
fn region(name: &str, services: &[&str]) -> RegionStatus {
    let services = services.iter().map(|name| ServiceStatus {
        name: (*name).into(),
        running: true,
        error: None,
        container: Some("Up 3 minutes".into()),
        ports: [(8000, 32_800)].into(),
    });
    let broker = BrokerStatus {
        state: BrokerState::Running,
        error: None,
        code: None,
        version: Some("4.3.6".into()),
        uptime_ms: Some(185_000),
        memory_bytes: Some(130 << 20),
        memory_limit_bytes: Some(384 << 20),
        alarms: Some(vec![]),
        missing_plugin: None,
        amqp: Some("127.0.0.1:32768".into()),
        management: Some("127.0.0.1:32769".into()),
        amqp_port: Some(32_768),
        management_port: Some(32_769),
    };
    RegionStatus { name: RegionName::new(name), broker, services: services.collect() }
}

/// The two links between a pair of regions, which run.
fn pair(upstream: &str, downstream: &str) -> [LinkStatus; 2] {
    [Resource::Exchange("orders.events".into()), Resource::Queue("fed.work".into())].map(|resource| {
        LinkStatus {
            link: LinkRef {
                upstream: RegionName::new(upstream),
                downstream: RegionName::new(downstream),
                resource,
            },
            condition: Condition::Running,
            activity: None,
            age_seconds: Some(180),
            last_known: None,
            waiting: Some(0),
            growth: None,
            lag_seconds: None,
        }
    })
}

pub fn healthy() -> Status {
    let links = [pair("asia", "europe"), pair("europe", "asia")];
    status(vec![region("europe", &["taxes"]), region("asia", &[])], links.concat())
}

/// One region and one link of each kind.
pub fn damaged() -> Status {
    let (mut europe, mut asia) = (region("europe", &["taxes"]), region("asia", &[]));
    europe.services[0].running = false;
    asia.broker.alarms = Some(vec!["disk".into()]);

    let mut america = region("america", &["products"]);
    america.services[0].error = Some("not connected yet".into());
    let unreachable =
        BrokerStatus { version: None, uptime_ms: None, memory_bytes: None, alarms: None, ..america.broker };
    let missing = BrokerStatus {
        amqp: None,
        management: None,
        amqp_port: None,
        management_port: None,
        ..unreachable.clone()
    };
    america.broker = BrokerStatus {
        state: BrokerState::Unreachable,
        code: Some(Unavailable::Unreachable(String::new()).code()),
        error: Some("timed out".into()),
        ..unreachable
    };
    let mut africa = region("africa", &[]);
    africa.broker = BrokerStatus { state: BrokerState::Missing, ..missing };

    status(vec![europe, asia, america, africa], damaged_links())
}

fn damaged_links() -> Vec<LinkStatus> {
    let unknown = |upstream: &str, downstream: &str| {
        pair(upstream, downstream).map(|link| LinkStatus { waiting: None, ..link })
    };
    let [unexpected, _] = pair("mars", "europe");
    let [starting, missing] = pair("europe", "asia");
    let [down, old] = pair("america", "asia");
    let failing = |link: LinkStatus, reason| LinkStatus { condition: Condition::Failing(reason), ..link };
    let named = [
        LinkStatus { waiting: None, ..failing(unexpected, Reason::NotInTopology) },
        LinkStatus { condition: Condition::Connecting, age_seconds: Some(1), waiting: Some(12), ..starting },
        LinkStatus { age_seconds: None, ..failing(missing, Reason::NotStarted) },
        LinkStatus { waiting: None, ..failing(down, Reason::ConnectionRefused) },
        LinkStatus { age_seconds: Some(90_000), waiting: None, ..old },
    ];
    [
        &pair("asia", "europe")[..],
        &unknown("america", "europe"),
        &unknown("africa", "europe"),
        &named,
        &unknown("africa", "asia"),
    ]
    .concat()
}

fn the_table_counts_what_runs_and_names_what_does_not() {
    insta::assert_snapshot!(strip_str(&render(&damaged(), Extent::Summary)));
    insta::assert_snapshot!(strip_str(&render(&healthy(), Extent::Summary)));
}

fn the_wide_table_has_a_line_for_every_link() {
    insta::assert_snapshot!(strip_str(&render(&damaged(), Extent::Wide)));
}

fn a_backlog_is_shown_with_where_it_goes() {
    let mut status = healthy();
    for (link, (waiting, growth)) in status.links.iter_mut().zip([
        (1_234_567, Some(35.0)),
        (19_930, Some(-2.5)),
        (7, Some(0.0)),
        (0, None),
    ]) {
        (link.waiting, link.growth) = (Some(waiting), growth);
    }
    let shown = |extent| strip_str(&render(&status, extent)).to_string();
    for text in ["1,234,567 ↑ +35.0/s", "19,930 ↓ -2.5/s", " 7 steady ", " 0 "] {
        assert!(shown(Extent::Wide).contains(text), "{text} in\n{}", shown(Extent::Wide));
    }
    for text in ["1,254,497 ↑ +32.5/s", " 7 steady "] {
        assert!(shown(Extent::Summary).contains(text), "{text} in\n{}", shown(Extent::Summary));
    }
}

/// The links to asia, whose broker is paused, first seen so `age` seconds ago and as running `known` ago.
pub fn unknown(age: u64, known: u64) -> Status {
    let mut status = healthy();
    for link in status.links.iter_mut().filter(|link| link.link.downstream.as_str() == "asia") {
        link.condition = Condition::Unknown(Unavailable::Paused);
        link.age_seconds = Some(age);
        link.last_known = Some(LastKnown { state: LinkState::Running, age_seconds: known });
    }
    status
}

fn an_unknown_link_says_for_how_long_and_what_was_before() {
    let shown = |status: &Status, extent| strip_str(&render(status, extent)).to_string();
    for (age, known, text) in [
        (42, 43, "? unknown for 42s, before that running  the downstream does not say: the broker's"),
        (0, 2, "? unknown, before that running  the downstream does not say"),
        (0, 7200, "? unknown, before that running (seen 2h ago)  the downstream does not say"),
    ] {
        let shown = shown(&unknown(age, known), Extent::Summary);
        assert!(shown.contains(text), "{text} in\n{shown}");
    }
    let wide = shown(&unknown(42, 43), Extent::Wide);
    assert!(wide.contains("? unknown   42s     0         before that running; the downstream"), "{wide}");
}

fn links_of_one_cause_are_one_line_though_they_are_not_equally_old() {
    let mut status = unknown(42, 43);
    status.links[2].age_seconds = Some(20);
    let shown = strip_str(&render(&status, Extent::Problems)).to_string();
    assert!(shown.contains("? unknown for 20s to 42s, before that running"), "{shown}");
    status.links[2].age_seconds = None;
    let shown = strip_str(&render(&status, Extent::Problems)).to_string();
    assert!(shown.contains("? unknown, before that running"), "{shown}");
}

fn links_that_change_alike_are_one_line_with_the_time() {
    let at: Zoned = "2026-11-28T05:41:07+01:00[+01:00]".parse().unwrap();
    let mut watched = Watched::default();
    let mut look = |status: &Status| {
        let changed = watched.look(status).unwrap_or_default();
        changes(&at, &changed).concat()
    };
    assert_eq!(look(&healthy()), "");
    let paused =
        "the downstream does not say: the broker's container is paused: `fedctl up` unpauses it (FED0326)";
    let names = "europe → asia (orders.events), europe → asia (fed.work)";
    let mut now = unknown(0, 1);
    now.regions[1].broker.state = BrokerState::Paused;
    now.regions[0].services[0].error = Some("not connected yet".into());
    let shown = strip_str(&look(&now)).to_string();
    assert_eq!(
        shown,
        format!(
            "05:41:07 asia: ✓ running → ✗ paused\n05:41:07 europe, taxes: ✓ running → … not ready: not connected yet\n\
             05:41:07 {names}: running → ? unknown: {paused}\n"
        )
    );
    assert_eq!(look(&now), "", "nothing changed");
    let five = (0..5).map(|number| {
        let [mut link, _] = pair("europe", "asia");
        link.link.resource = Resource::Queue(format!("fed.{number}"));
        link
    });
    now.links = five.collect();
    let shown = strip_str(&look(&now)).to_string();
    assert!(shown.contains("05:41:07 5 links, europe → asia (5): new, ✓ running\n"), "{shown}");
    assert!(shown.contains(&format!("{names}: gone, was unknown\n")), "{shown}");
}

fn a_report_is_drawn_over_the_last_one_and_what_does_not_fit_is_left_out_above_the_changes() {
    let size = |rows, columns| Some(Size { rows, columns });
    assert_eq!(frame("one\ntwo\n", "end\n", None), "\u{1b}[Hone\u{1b}[K\ntwo\u{1b}[K\nend\u{1b}[K\n\u{1b}[J");
    let shown = |body: &str, rows, columns| {
        let frame = frame(body, "end\n", size(rows, columns));
        frame.replace("\u{1b}[H", "").replace("\u{1b}[K", "").replace("\u{1b}[J", "")
    };
    let body = "1\n2\n3\n4\n";
    assert_eq!(shown(body, 6, 80), "1\n2\n3\n4\nend\n");
    assert_eq!(shown(body, 5, 80), "1\n2\n… 2 more lines\nend\n");
    assert_eq!(shown("1\n12345\n3\n4\n", 5, 4), "1\n… 3 more lines\nend\n", "a long line takes two rows");
    assert_eq!(
        shown("\u{1b}[32m1234\u{1b}[39m\n", 3, 4),
        "\u{1b}[32m1234\u{1b}[39m\nend\n",
        "a colour takes none"
    );
    let clipped = frame("", "\u{1b}[32m12345\u{1b}[39m\n", size(9, 4));
    assert!(clipped.contains("\u{1b}[32m123…\u{1b}[39m\n"), "{clipped:?}");
    let full = frame("1234\n", "", size(9, 4));
    assert_eq!(full, "\u{1b}[H1234\n\u{1b}[J", "the last character of a full row stays");
}

pub fn cases() -> Vec<Trial> {
    cases! {
        the_table_counts_what_runs_and_names_what_does_not,
        the_wide_table_has_a_line_for_every_link,
        a_backlog_is_shown_with_where_it_goes,
        an_unknown_link_says_for_how_long_and_what_was_before,
        links_of_one_cause_are_one_line_though_they_are_not_equally_old,
        links_that_change_alike_are_one_line_with_the_time,
        a_report_is_drawn_over_the_last_one_and_what_does_not_fit_is_left_out_above_the_changes,
    }
}
