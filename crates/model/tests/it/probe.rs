//! What a probe sends where, and what it concludes from what arrived.

use std::time::Duration;

use crate::{catalogue::catalogue, status::assert_fits};
use fedctl_model::{
    observed::Resource,
    probe::{self, Evidence, Left, Message, Nonce, Probe, ProbeReport, ProbeState, Problem, Tally},
    site::Unavailable,
    topology::{self, Pair, RegionName},
};

const TWO: &str = "name: shop\nmaster: europe\nregions: [name: europe, name: asia]\n";
const THREE: &str = "name: shop\nmaster: europe\nregions: [name: europe, name: asia, name: america]\n";

fn region(name: &str) -> RegionName {
    RegionName::new(name)
}

fn regions(names: &[&str]) -> Vec<RegionName> {
    names.iter().map(|name| region(name)).collect()
}

fn probe_of(yaml: &str, chosen: &[&str], count: usize) -> Probe {
    let (topology, _) = topology::parse(yaml, &catalogue()).unwrap();
    Probe::of(&topology, &regions(chosen), Nonce::new(0x7654_3210), count)
}

/// Every message of a probe, with the regions where it should arrive.
fn messages(probe: &Probe) -> Vec<(Message, Vec<RegionName>)> {
    let lanes = probe.lanes.iter().enumerate();
    let of_lane = |(lane, found): (usize, &probe::Lane)| {
        let downstreams = found.downstreams.clone();
        (0..probe.count).map(move |sequence| (Message { lane, sequence }, downstreams.clone()))
    };
    lanes.flat_map(of_lane).collect()
}

/// Everything published, and arrived ten milliseconds later.
fn all_moved(probe: &Probe) -> Tally {
    let mut tally = Tally::default();
    for (message, downstreams) in messages(probe) {
        tally.publish(message, Duration::from_millis(100));
        for downstream in downstreams {
            tally.arrive(message, &downstream, Duration::from_millis(110));
        }
    }
    tally
}

/// What is wrong, a line for each link.
fn wrong(probe: &Probe, tally: &Tally, evidence: &Evidence) -> Vec<String> {
    let report = ProbeReport::of(probe, tally, evidence, &[], 0.5);
    let wrong = report.links.iter().filter(|link| link.state != ProbeState::Moved);
    let lines = wrong.map(|found| {
        let kind = match found.link.resource {
            Resource::Exchange(_) => "exchange",
            Resource::Queue(_) => "queue",
        };
        let (error, code) = (found.error.as_deref().unwrap(), found.code.unwrap());
        format!(
            "{} → {} {kind}: {:?}: {error} ({code})",
            found.link.upstream, found.link.downstream, found.state
        )
    });
    let lines: Vec<String> = lines.collect();
    assert_eq!(report.passed, lines.is_empty());
    lines
}

#[test]
fn every_pair_has_a_link_of_an_exchange_and_one_of_a_queue() {
    let probe = probe_of(THREE, &["europe", "asia", "america"], 5);
    assert_eq!(probe.links().count(), 12);
    assert_eq!(probe.exchanges().len(), 1);
    assert_eq!(probe.queues().len(), 3, "each region consumes one");
    for (lane, link) in probe.links() {
        assert_ne!(link.upstream, link.downstream);
        assert_eq!(probe.lanes[lane].upstream, link.upstream);
        assert!(probe.nonce.owns(link.resource.name()), "{link}");
    }
}

#[test]
fn only_the_links_between_the_chosen_regions_are_used() {
    let probe = probe_of(THREE, &["asia", "america"], 5);
    assert_eq!(probe.regions, regions(&["asia", "america"]));
    assert_eq!(probe.links().count(), 4);
    assert!(probe.links().all(|(_, link)| ![&link.upstream, &link.downstream].contains(&&region("europe"))));
    assert_eq!(probe_of(THREE, &["asia"], 5).links().count(), 0);
}

#[test]
fn a_policy_that_matches_no_name_of_a_probe_is_named_and_fails_nothing() {
    let yaml = format!(
        "{TWO}federation:\n  policies:\n    - {{name: one, pattern: ^orders$, apply-to: exchanges}}\n    \
         - {{name: fed, pattern: '^fed\\.', apply-to: queues}}\n"
    );
    let probe = probe_of(&yaml, &["europe", "asia"], 1);
    assert_eq!(probe.links().count(), 2, "those of the queues");
    let report = ProbeReport::of(&probe, &all_moved(&probe), &Evidence::default(), &[], 0.1);
    let warnings: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    let expected =
        "project `shop`: policy `one` is not probed: no name of the probe's own matches `^orders$`";
    assert_eq!((warnings, report.passed), (vec![expected.to_owned()], true));
}

#[test]
fn links_that_move_everything_once_pass() {
    let probe = probe_of(THREE, &["europe", "asia", "america"], 5);
    let tally = all_moved(&probe);
    assert_eq!(wrong(&probe, &tally, &Evidence::default()), [""; 0]);
    assert_eq!(tally.outstanding(&probe, &Evidence::default()), 0);
    let report = ProbeReport::of(&probe, &tally, &Evidence::default(), &[], 0.5);
    for link in report.links {
        assert_eq!((link.published, link.lost, link.duplicated), (5, 0, 0));
        assert_eq!((link.p50_ms, link.p99_ms), (Some(10.0), Some(10.0)));
    }
}

#[test]
fn what_a_region_publishes_and_gets_itself_came_through_no_link() {
    let probe = probe_of(TWO, &["europe", "asia"], 1);
    let mut tally = Tally::default();
    for (message, _) in messages(&probe) {
        tally.publish(message, Duration::ZERO);
        tally.arrive(message, &probe.lanes[message.lane].upstream, Duration::from_millis(1));
    }
    assert_eq!(wrong(&probe, &tally, &Evidence::default()).len(), 4);
}

#[test]
fn a_message_that_does_not_arrive_or_comes_twice_is_counted_at_its_link_alone() {
    let probe = probe_of(THREE, &["europe", "asia", "america"], 4);
    let (asia, america) = (region("asia"), region("america"));
    let exchange = |lane: usize| matches!(probe.lanes[lane].resource, Resource::Exchange(_));
    let mut tally = Tally::default();
    for (message, downstreams) in messages(&probe) {
        tally.publish(message, Duration::ZERO);
        for downstream in downstreams {
            let from = probe.lanes[message.lane].upstream.as_str();
            if exchange(message.lane) && from == "europe" && downstream == asia && message.sequence > 0 {
                continue;
            }
            tally.arrive(message, &downstream, Duration::from_millis(2));
            if !exchange(message.lane) && from == "asia" && downstream == america && message.sequence == 2 {
                tally.arrive(message, &downstream, Duration::from_millis(9));
            }
        }
    }
    let mut evidence = Evidence::default();
    let lane = (0..probe.lanes.len())
        .find(|lane| exchange(*lane) && probe.lanes[*lane].upstream == region("europe"));
    let lane = lane.unwrap();
    evidence.reported.insert((lane, asia.clone()), "running".into());
    let duplicated = "asia → america queue: Duplicated: 1 of 4 messages arrived again (FED0702)".to_owned();
    let lost = "europe → asia exchange: Lost: 3 of 4 messages lost, the link is reported as running";
    assert_eq!(wrong(&probe, &tally, &evidence), [format!("{lost} (FED0701)"), duplicated.clone()]);
    assert_eq!(tally.outstanding(&probe, &evidence), 3);

    evidence.not_ready.insert((lane, asia));
    tally.not_confirmed(Message { lane, sequence: 1 });
    let more = ", the upstream did not know its binding, the upstream did not confirm 1 (FED0706)";
    assert_eq!(wrong(&probe, &tally, &evidence), [format!("{lost}{more}"), duplicated]);
}

#[test]
fn a_region_that_does_not_answer_has_links_that_are_not_probed_and_not_lost() {
    let probe = probe_of(THREE, &["europe", "asia", "america"], 2);
    let mut evidence = Evidence::default();
    evidence.problems.insert(region("asia"), Problem::from(&Unavailable::Paused));
    let mut tally = Tally::default();
    for (message, downstreams) in messages(&probe) {
        let upstream = &probe.lanes[message.lane].upstream;
        if *upstream == region("asia") {
            continue;
        }
        tally.publish(message, Duration::ZERO);
        for downstream in downstreams.into_iter().filter(|downstream| *downstream != region("asia")) {
            tally.arrive(message, &downstream, Duration::from_millis(1));
        }
    }
    let found = wrong(&probe, &tally, &evidence);
    let reason = "NotProbed: `asia` takes no part: the broker's container is paused: `fedctl up` unpauses it";
    assert_eq!(found.len(), 8, "{found:?}");
    assert!(found.iter().all(|line| line.contains("asia") && line.contains(reason)), "{found:?}");
    assert!(found[0].ends_with(&format!("({})", Unavailable::Paused.code())), "{found:?}");
    assert_eq!(tally.outstanding(&probe, &evidence), 0, "nothing is waited for");
}

#[test]
fn a_paused_link_is_not_probed_and_fails_nothing() {
    let probe = probe_of(THREE, &["europe", "asia", "america"], 2);
    let (europe, asia) = (region("europe"), region("asia"));
    let mut evidence = Evidence::default();
    evidence.paused.insert(Pair { upstream: europe.clone(), downstream: asia.clone() });
    let mut tally = Tally::default();
    for (message, downstreams) in messages(&probe) {
        tally.publish(message, Duration::ZERO);
        for downstream in downstreams {
            if (&probe.lanes[message.lane].upstream, &downstream) != (&europe, &asia) {
                tally.arrive(message, &downstream, Duration::from_millis(1));
            }
        }
    }
    assert_eq!(tally.outstanding(&probe, &evidence), 0, "nothing is waited for");
    let report = ProbeReport::of(&probe, &tally, &evidence, &[], 0.5);
    assert!(report.passed);
    let paused = report.links.iter().filter(|found| found.state != ProbeState::Moved);
    let paused: Vec<_> = paused.collect();
    assert_eq!(paused.len(), 2, "of an exchange and of a queue");
    for found in paused {
        assert_eq!((&found.link.upstream, &found.link.downstream), (&europe, &asia));
        assert_eq!((found.state, found.published, found.lost), (ProbeState::Paused, 0, 0));
        assert_eq!((&found.error, found.code), (&None, None));
    }

    evidence.problems.insert(asia, Problem::from(&Unavailable::Paused));
    let report = ProbeReport::of(&probe, &tally, &evidence, &[], 0.5);
    assert!(report.links.iter().all(|found| found.state != ProbeState::Paused), "its downstream is silent");
}

#[test]
fn a_link_for_which_nothing_could_be_published_is_not_probed() {
    let probe = probe_of(TWO, &["europe", "asia"], 2);
    let found = wrong(&probe, &Tally::default(), &Evidence::default());
    let expected = "NotProbed: nothing was published: `europe` did not take messages in time (FED0703)";
    assert_eq!(found.iter().filter(|line| line.ends_with(expected)).count(), 2, "{found:?}");
    assert_eq!(found.len(), 4);
}

#[test]
fn the_json_form_conforms_to_its_schema() {
    let probe = probe_of(TWO, &["europe", "asia"], 2);
    let left = [Left {
        region: region("asia"),
        names: vec!["fedctl.probe.x.events".into()],
        reason: "timed out".into(),
    }];
    let schema = probe::schema();
    for tally in [all_moved(&probe), Tally::default()] {
        let report = ProbeReport::of(&probe, &tally, &Evidence::default(), &left, 0.5);
        let json = serde_json::to_value(report).unwrap();
        assert_fits(&json, &schema, &schema, "probe");
        assert_eq!(json["version"], 1);
        assert_eq!(json["warnings"][0]["message"], "could not remove fedctl.probe.x.events: timed out");
    }
}
