//! How a probe's report is shown.

use libtest_mimic::Trial;

use crate::harness::cases;

use anstream::adapter::strip_str;
use fedctl::output::probe::render;
use fedctl_model::{
    diagnostic::{Code, Diagnostic, Place},
    observed::Resource,
    probe::{LinkProbe, ProbeReport, ProbeState},
    status::LinkRef,
    topology::RegionName,
};

const REGIONS: [&str; 3] = ["europe", "asia", "america"];

/// Every link between the regions, which moved twenty messages each.
fn passed() -> ProbeReport {
    let regions = REGIONS.map(RegionName::new).to_vec();
    let mut links = Vec::new();
    for (exchange, policy) in [(true, "events"), (false, "fed")] {
        for upstream in &regions {
            for downstream in regions.iter().filter(|downstream| *downstream != upstream) {
                let name = format!("fedctl.probe.abcdefgh.{downstream}");
                let resource = if exchange { Resource::Exchange(name) } else { Resource::Queue(name) };
                let link = LinkRef { upstream: upstream.clone(), downstream: downstream.clone(), resource };
                links.push(LinkProbe {
                    link,
                    policy: policy.into(),
                    state: ProbeState::Moved,
                    published: 20,
                    lost: 0,
                    duplicated: 0,
                    p50_ms: Some(1.25),
                    p99_ms: Some(14.0),
                    reported: None,
                    error: None,
                    code: None,
                });
            }
        }
    }
    ProbeReport {
        version: 1,
        project: "shop".into(),
        passed: true,
        count: 20,
        seconds: 0.93,
        regions,
        links,
        warnings: vec![],
    }
}

fn fail(link: &mut LinkProbe, state: ProbeState, error: &str, code: &str) {
    (link.state, link.error, link.code) = (state, Some(error.into()), Code::find(code));
}

/// A link of each kind of failure.
fn failed() -> ProbeReport {
    let mut report = passed();
    report.passed = false;
    let lost = "20 of 20 messages lost, the link is reported as running";
    for index in [0, 8] {
        fail(&mut report.links[index], ProbeState::Lost, lost, "FED0701");
        report.links[index].lost = 20;
        (report.links[index].p50_ms, report.links[index].p99_ms) = (None, None);
    }
    fail(&mut report.links[2], ProbeState::Duplicated, "2 of 20 messages arrived again", "FED0702");
    report.links[2].duplicated = 2;
    let paused = "`america` takes no part: the broker's container is paused: `fedctl up` unpauses it";
    for link in &mut report.links {
        if [&link.link.upstream, &link.link.downstream].contains(&&RegionName::new("america")) {
            fail(link, ProbeState::NotProbed, paused, "FED0607");
            (link.published, link.lost, link.p50_ms, link.p99_ms) = (0, 0, None, None);
        }
    }
    let place = Place::Broker { region: RegionName::new("asia") };
    let left = Code::find("FED0705").unwrap();
    report.warnings.push(Diagnostic::new(
        left,
        place,
        "could not remove fed.fedctl.probe.abcdefgh.asia: timed out",
    ));
    report
}

/// The links from europe to asia are paused.
fn paused() -> ProbeReport {
    let mut report = passed();
    let [europe, asia] = ["europe", "asia"].map(RegionName::new);
    let ends = |link: &LinkRef| link.upstream == europe && link.downstream == asia;
    for link in report.links.iter_mut().filter(|found| ends(&found.link)) {
        (link.state, link.published, link.p50_ms, link.p99_ms) = (ProbeState::Paused, 0, None, None);
    }
    report
}

fn the_matrix_has_the_times_of_every_pair_or_what_is_wrong() {
    insta::assert_snapshot!(strip_str(&render(&passed(), false)));
    insta::assert_snapshot!(strip_str(&render(&failed(), false)));
}

fn paused_links_are_shown_and_counted_apart() {
    insta::assert_snapshot!(strip_str(&render(&paused(), false)));
    let wide = strip_str(&render(&paused(), true)).to_string();
    let line = wide.lines().find(|line| line.contains("‖ not probed: paused"));
    assert!(line.is_some_and(|line| line.contains("until `fedctl link resume`")), "{wide}");
}

fn the_wide_table_has_a_line_for_every_link() {
    insta::assert_snapshot!(strip_str(&render(&failed(), true)));
}

fn without_links_it_is_said_why() {
    let mut report = passed();
    report.links.clear();
    assert_eq!(render(&report, false), "no links were probed\n");
    report.regions.truncate(1);
    assert_eq!(render(&report, false), "no links: they need two regions\n");
}

pub fn cases() -> Vec<Trial> {
    cases! {
        the_matrix_has_the_times_of_every_pair_or_what_is_wrong,
        paused_links_are_shown_and_counted_apart,
        the_wide_table_has_a_line_for_every_link,
        without_links_it_is_said_why,
    }
}
