//! Mistakes on real brokers, each found by its code.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::support::{Project, ran::Ran, until};

/// Three regions are read and judged within a second, and this test's program takes as long to start.
const QUICKLY: Duration = Duration::from_secs(2);

/// What a check finds, as `code place`, where the place is of the brokers.
fn found(ran: &Ran) -> BTreeSet<String> {
    let diagnostics = ran.json()["diagnostics"].as_array().unwrap().clone();
    let place = |place: &Value| {
        let name = ["name", "upstream"].into_iter().find_map(|key| place[key].as_str());
        let region = ["region", "downstream"].into_iter().find_map(|key| place[key].as_str());
        format!("{} {}", region.unwrap_or_default(), name.unwrap_or_default())
    };
    let found = diagnostics.iter().map(|found| (found["code"].as_str().unwrap(), place(&found["place"])));
    found.map(|(code, place)| format!("{code} {}", place.trim())).collect()
}

pub fn nothing_is_found_on_a_federation_that_is_as_it_should_be(project: &Project) {
    let clean = until("a clean check", || {
        let ran = project.fedctl(&["check"]);
        (ran.code == Some(0)).then_some(ran)
    });
    clean.within(QUICKLY).says(" checks, 0 errors, 0 warnings");
}

pub fn every_mistake_that_is_made_by_hand_is_found_by_its_code(project: &Project) {
    let (europe, asia, america) =
        (project.broker("europe"), project.broker("asia"), project.broker("america"));
    let upstream = "/parameters/federation-upstream/%2F/theirs";
    let set = "/parameters/federation-upstream-set/%2F/theirs";
    let orphan = "/queues/%2F/federation:%20products.events%20-%3E%20mars";
    let lossy = json!({"uri": "amqp://atlantis", "ack-mode": "no-ack", "reconnect-delay": 60});
    asia.put(upstream, &json!({ "value": lossy }));
    asia.put(set, &json!({"value": [{"upstream": "nowhere"}]}));
    let policy = |pattern: &str, to: &str, definition: Value| json!({"pattern": pattern, "apply-to": to, "priority": 1, "definition": definition});
    america.put(
        "/policies/%2F/dangling",
        &policy("^nothing$", "queues", json!({"federation-upstream": "nowhere"})),
    );
    america.put("/policies/%2F/broad", &policy(" -> ", "queues", json!({"max-length": 100_000})));
    america
        .put("/policies/%2F/limits", &policy(r"\.events$", "exchanges", json!({"alternate-exchange": "a"})));
    europe.put("/users/guest", &json!({"password": "guest", "tags": "administrator"}));
    europe.put(orphan, &json!({"durable": true}));
    assert!(europe.publish("amq.default", "federation: products.events -> mars", "lost"));
    europe.put("/cluster-name", &json!({"name": "america"}));

    let expected = [
        "FED0315 asia theirs",
        "FED0803 asia theirs",
        "FED0804 asia theirs",
        "FED0805 asia theirs",
        "FED0807 asia theirs",
        "FED0809 asia theirs",
        "FED0815 asia theirs",
        "FED0816 asia theirs",
        "FED0802 america",
        "FED0813 america dangling",
        "FED0823 america broad",
        "FED0324 america events",
        "FED0811 europe guest",
        "FED0827 europe federation: products.events -> mars",
    ];
    let ran = until("every mistake", || {
        let ran = project.fedctl(&["check", "-o", "json"]).exits(4);
        let found = found(&ran);
        expected.iter().all(|wanted| found.contains(*wanted)).then_some(ran)
    });
    ran.within(QUICKLY);
    let table = project.fedctl(&["check"]).exits(4);
    table
        .says("holds 1 message that no link fetches: no region has the cluster name `mars`")
        .conceals("guest@");
    let only = project.fedctl(&["check", "america", "-o", "json"]).exits(4);
    assert!(!found(&only).contains("FED0811 europe guest") && found(&only).contains("FED0802 america"));

    europe.put("/cluster-name", &json!({"name": "europe"}));
    for path in [orphan, "/users/guest"] {
        europe.delete(path);
    }
    for path in [set, upstream] {
        asia.delete(path);
    }
    for policy in ["dangling", "broad", "limits"] {
        america.delete(&format!("/policies/%2F/{policy}"));
    }
    project.up();
    nothing_is_found_on_a_federation_that_is_as_it_should_be(project);
}
