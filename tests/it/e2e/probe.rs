//! Messages of a probe's own through every link.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{Project, ran::Running, until};

const REGIONS: [&str; 3] = ["europe", "asia", "america"];

/// The names of everything that a probe could leave, by region and kind.
fn names(project: &Project) -> BTreeMap<String, BTreeSet<String>> {
    let kinds = ["exchanges", "queues", "policies"];
    let all = REGIONS.into_iter().flat_map(|region| kinds.map(|kind| (region, kind)));
    all.map(|(region, kind)| {
        (format!("{kind} of {region}"), project.broker(region).names(&format!("/{kind}/%2F")))
    })
    .collect()
}

/// The links of a report that did not move everything once.
fn failed(report: &Value) -> Vec<&Value> {
    report["links"].as_array().unwrap().iter().filter(|link| link["state"] != "moved").collect()
}

pub fn every_link_moves_every_message_and_nothing_is_left(project: &Project) {
    let before = names(project);
    let report = project.fedctl(&["probe", "-o", "json"]).exits(0).json();
    let links = report["links"].as_array().unwrap();
    assert_eq!(links.len(), 12, "an exchange and a queue for each pair: {report}");
    for link in links {
        assert_eq!((&link["state"], &link["published"]), (&json!("moved"), &json!(20)), "{link}");
        assert!(link["p50_ms"].as_f64() > Some(0.0) && link["p99_ms"].as_f64() >= link["p50_ms"].as_f64());
    }
    assert_eq!(report["warnings"], json!([]));
    assert_eq!(names(project), before);
    assert_eq!(project.links("running").len(), 48);

    // two at once
    let first = Running::of(project.command(&["probe", "--count", "5"]));
    project
        .fedctl(&["probe", "europe", "asia", "--count", "5"])
        .exits(0)
        .says("4 of 4 links moved 5 messages");
    first.end().exits(0).says("12 of 12 links moved 5 messages, each once");
    assert_eq!(names(project), before);
    project
        .fedctl(&["up", "--verify"])
        .exits(0)
        .says("nothing to do")
        .says("12 of 12 links moved 20 messages");
}

pub fn a_link_that_runs_and_moves_nothing_is_found(project: &Project) {
    let europe = project.broker("europe");
    let policy = json!({"pattern": "^federation: .* -> asia$", "apply-to": "queues", "priority": 1,
        "definition": {"max-length": 0, "overflow": "reject-publish"}});
    europe.put("/policies/%2F/theirs", &policy);
    let before = names(project);
    let ran = project.fedctl(&["probe", "-o", "json", "--timeout", "5s"]).exits(5);
    project.fedctl(&["status"]).exits(0).says("48 links running");
    let report = ran.json();
    let failed = failed(&report);
    assert_eq!(failed.len(), 1, "{report}");
    let link = failed[0];
    assert_eq!((&link["upstream"], &link["downstream"]), (&json!("europe"), &json!("asia")), "{link}");
    assert_eq!(link["resource"]["type"], "exchange", "{link}");
    assert_eq!((&link["state"], &link["lost"]), (&json!("lost"), &json!(20)), "{link}");
    assert_eq!((&link["reported"], &link["code"]), (&json!("running"), &json!("FED0706")), "{link}");
    assert_eq!(names(project), before);
    project
        .fedctl(&["up", "--verify"])
        .exits(5)
        .says("20 of 20 messages lost, the link is reported as running")
        .says("europe → asia  exchange (policy events)")
        .says("11 of 12 links moved 20 messages");
    europe.delete("/policies/%2F/theirs");
    project.fedctl(&["probe"]).exits(0);
}

pub fn an_interrupted_probe_removes_what_it_made(project: &Project) {
    let before = names(project);
    let asked = ["probe", "--count", "10000", "--timeout", "60s", "--progress", "json"];
    let sends = |event: &Value| event["event"] == "progress" && event["text"] == "sending messages";
    let mut probe = Running::of(project.command(&asked)).until_it_reports(sends);
    probe.signal("INT");
    probe.end().exits(130);
    until("nothing of it is left", || (names(project) == before).then_some(()));
}
