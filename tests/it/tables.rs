//! How a status is shown as tables.

use libtest_mimic::Trial;

use crate::harness::cases;

use anstream::adapter::strip_str;
use fedctl::output::status::render;
use fedctl_model::{
    observed::Resource,
    site::Unavailable,
    status::{
        BrokerState, BrokerStatus, Condition, LinkRef, LinkStatus, Reason, RegionStatus, ServiceStatus,
        Status,
    },
    topology::RegionName,
};

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
        memory_limit_bytes: 384 << 20,
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
            waiting: Some(0),
        }
    })
}

fn healthy() -> Status {
    let links = [pair("asia", "europe"), pair("europe", "asia")];
    status(vec![region("europe", &["taxes"]), region("asia", &[])], links.concat())
}

/// One region and one link of each kind.
fn damaged() -> Status {
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
    insta::assert_snapshot!(strip_str(&render(&damaged(), false)));
    insta::assert_snapshot!(strip_str(&render(&healthy(), false)));
}

fn the_wide_table_has_a_line_for_every_link() {
    insta::assert_snapshot!(strip_str(&render(&damaged(), true)));
}

pub fn cases() -> Vec<Trial> {
    cases! {
        the_table_counts_what_runs_and_names_what_does_not,
        the_wide_table_has_a_line_for_every_link,
    }
}
