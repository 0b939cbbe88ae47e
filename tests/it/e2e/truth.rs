//! What fedctl says of a project that something was done to: what is so, at once, and no more than is known.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    e2e::demo,
    support::{
        Project,
        engine::{docker, exists},
        ran::Ran,
        until,
    },
};

/// Within this a report says what is so, whatever hangs.
const AT_ONCE: Duration = Duration::from_secs(2);

/// How many links are in each state.
fn count(status: &Value, state: &str) -> usize {
    status["links"].as_array().unwrap().iter().filter(|link| link["state"] == state).count()
}

pub fn the_links_of_a_paused_region_are_counted_and_known_or_unknown_at_once(project: &Project) {
    let asia = project.container("asia", "broker");
    docker(&["pause", &asia]);
    let ran = project.fedctl(&["status", "-o", "json"]).exits(4).within(AT_ONCE);
    let status = ran.json();
    let counts = ["running", "down", "unknown"].map(|state| count(&status, state));
    assert_eq!(counts, [16, 16, 16], "{ran}");
    let ran =
        project.fedctl(&["status"]).exits(4).says("16 of 48 links running, 16 unknown").says("✗ paused");
    ran.says(", before that running");
    // it is held by a signal, of which the engine knows nothing
    docker(&["unpause", &asia]);
    docker(&["kill", "--signal", "STOP", &asia]);
    let ran = project.fedctl(&["status", "-o", "json"]);
    docker(&["kill", "--signal", "CONT", &asia]);
    // its API gets a second and a half, and this test's program a second to start
    let ran = ran.exits(4).within(AT_ONCE + Duration::from_secs(1));
    let status = ran.json();
    let counts = ["running", "down", "unknown"].map(|state| count(&status, state));
    assert_eq!(counts, [16, 16, 16], "{ran}");
    demo::passes_again(project);
}

pub fn a_region_cut_off_is_named_at_once_with_the_cause(project: &Project) {
    let asia = project.container("asia", "broker");
    docker(&["network", "disconnect", &project.wan(), &asia]);
    let cause = format!(
        "the broker of `asia` is not attached to network `{}`: `fedctl up` attaches it",
        project.wan()
    );
    project.fedctl(&["status"]).exits(4).within(AT_ONCE).says("16 of 48 links running").says(&cause);
    demo::passes_again(project);
}

pub fn another_policy_that_wins_is_named_and_up_changes_nothing(project: &Project) {
    let europe = project.broker("europe");
    let limits = json!({"pattern": "^fed\\.", "apply-to": "queues", "priority": 10, "definition": {"max-length": 100_000}});
    europe.put("/policies/%2F/limits", &limits);
    let cause = "policy `limits` (priority 10) wins over `fed`";
    until("the links are gone", || project.fedctl(&["status"]).stdout.contains(cause).then_some(()));
    project.fedctl(&["status"]).exits(4).says("of 48 links running");
    let started = Instant::now();
    let ran = project.fedctl(&["up", "--progress", "json", "--timeout", "60s"]).exits(4).says(cause);
    assert!(started.elapsed() < Duration::from_secs(5), "{ran}");
    assert_eq!(changes(&ran), [""; 0], "{ran}");
    // as it says, with a higher priority and the other's keys
    let (lower, higher) = ("queues}", "queues, priority: 11, definition: {max-length: 100000}}");
    project.edit(lower, higher);
    project.up();
    project.fedctl(&["status"]).exits(0).says("48 of 48 links running");
    let limit = &europe.get("/policies/%2F/fed")["definition"]["max-length"];
    assert_eq!(*limit, json!(100_000));
    project.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
    project.edit(higher, lower);
    europe.delete("/policies/%2F/limits");
    demo::passes_again(project);
}

/// The steps that an `up --progress json` took.
fn changes(ran: &Ran) -> Vec<String> {
    let events = ran.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let done = events.filter(|event| event["event"] == "step-done");
    done.map(|event| format!("{}: {}", event["subject"], event["result"])).collect()
}

pub fn a_stream_is_neither_expected_nor_unexpected_and_named_once(project: &Project) {
    let europe = project.broker("europe");
    europe.put("/queues/%2F/fed.audit", &json!({"durable": true, "arguments": {"x-queue-type": "stream"}}));
    let says_so = |project: &Project| {
        let ran = project.fedctl(&["status"]).exits(0).says("48 of 48 links running");
        ran.says("queue `fed.audit` in `europe`: is a stream that a policy matches")
    };
    says_so(project);
    let ran = project.fedctl(&["up", "--progress", "json", "--timeout", "60s"]).exits(0);
    assert_eq!(changes(&ran), [""; 0], "{ran}");
    // the broker starts links of it once the policy is put anew
    let policy = europe.get("/policies/%2F/fed");
    europe.delete("/policies/%2F/fed");
    europe.put("/policies/%2F/fed", &policy);
    until("the links run", || project.fedctl(&["status"]).code.is_some_and(|code| code == 0).then_some(()));
    says_so(project);
    for region in ["europe", "asia", "america"] {
        let broker = project.broker(region);
        broker.try_delete("/queues/%2F/fed.audit");
        // RabbitMQ does not stop the links of a stream that is deleted; restarted, they find that it is gone
        for link in broker.get("/federation-links/%2F").as_array().unwrap() {
            if link["queue"] == "fed.audit" {
                let (id, node) = (link["id"].as_str().unwrap(), link["node"].as_str().unwrap());
                broker.delete(&format!("/federation-links/vhost/%2F/{id}/{node}/restart"));
            }
        }
    }
    demo::passes_again(project);
}

/// Also where the broker collects no metrics.
pub fn an_alarm_is_named_by_up_and_by_a_scenario_that_fails(project: &Project) {
    let short_of_memory = |share: f64, without_metrics: bool| {
        let script = format!(
            "application:set_env(rabbitmq_management_agent, disable_metrics_collector, {without_metrics}), \
             vm_memory_monitor:set_vm_memory_high_watermark({share})."
        );
        docker(&["exec", &project.container("asia", "broker"), "rabbitmqctl", "eval", &script]);
    };
    short_of_memory(0.01, true);
    let alarm = "broker `asia`: memory alarm: it takes no messages from publishers";
    until("the alarm", || project.fedctl(&["status"]).stdout.contains("asia: memory alarm").then_some(()));
    let ran = project.fedctl(&["status"]).exits(4);
    ran.says("48 of 48 links running").says("broker `asia`: collects no metrics");
    project.fedctl(&["queues"]).exits(0);
    project.fedctl(&["up", "--timeout", "60s"]).exits(4).says(alarm);
    project.fedctl(&["demo", "reply", "--timeout", "3s"]).exits(5).says(alarm);
    short_of_memory(0.6, false);
    until("no alarm", || project.fedctl(&["status"]).code.is_some_and(|code| code == 0).then_some(()));
    demo::passes_again(project);
}

pub fn a_plugin_that_is_off_is_named_and_enabled(project: &Project) {
    let europe = project.container("europe", "broker");
    docker(&["exec", &europe, "rabbitmq-plugins", "disable", "rabbitmq_federation"]);
    let ran = project.fedctl(&["status"]).exits(4).within(AT_ONCE);
    ran.says("plugin `rabbitmq_federation` is not enabled").says("30 of 48 links running");
    project.fedctl(&["plan"]).exits(0).says("enable rabbitmq_federation");
    demo::passes_again(project);
}

pub fn doctor_finds_what_is_wrong_and_its_bundle_has_no_password(project: &Project) {
    let bundle = project.directory.path().join("report.tar");
    let ran = project.fedctl(&["doctor", "--bundle", bundle.to_str().unwrap()]).exits(0);
    ran.says("europe: RabbitMQ").says("0 problems").says("it has no password in it");
    let archive = String::from_utf8_lossy(&std::fs::read(&bundle).unwrap()).into_owned();
    assert!(archive.contains("fedctl-doctor/logs/") && archive.contains("fedctl-doctor/status.json"));
    for (region, passwords) in project.passwords().as_object().unwrap() {
        for (user, password) in passwords.as_object().unwrap() {
            assert!(!archive.contains(password.as_str().unwrap()), "the password of {user} in {region}");
        }
    }
    docker(&["stop", &project.container("asia", "broker")]);
    project.fedctl(&["doctor"]).exits(4).says("asia: Exited").says("1 problem");
    demo::passes_again(project);
}

/// The last case of its project: the topology is changed.
pub fn what_a_narrowed_policy_leaves_is_removed_or_needs_a_decision(project: &Project) {
    project.edit(r"'\.events$'", r"'\.published$'");
    project.up();
    let europe = project.broker("europe");
    let internal =
        || europe.names("/queues/%2F").into_iter().filter(|name| name.starts_with("federation: ")).count();
    assert_eq!(internal(), 0, "what is empty goes with the links");
    project.fedctl(&["plan", "--detailed-exitcode"]).exits(0);

    // the same with messages in it
    project.edit(r"'\.published$'", r"'\.events$'");
    project.up();
    docker(&["network", "disconnect", &project.wan(), &project.container("asia", "broker")]);
    for number in 0..20 {
        assert!(europe.publish("products.events", "product_added", &number.to_string()));
    }
    until("they wait", || (europe.depth("federation: products.events -> asia") >= 20).then_some(()));
    docker(&["network", "connect", "--alias", "asia", &project.wan(), &project.container("asia", "broker")]);
    project.edit(r"'\.events$'", r"'\.published$'");
    let ran = project.fedctl(&["up", "--timeout", "60s"]);
    if ran.code == Some(1) {
        let ran = ran.says("no policy federates `products.events` any more").says("--keep").says("--discard");
        assert!(ran.stderr.contains("nothing was applied"), "{ran}");
    }
    project.fedctl(&["up", "--timeout", "60s", "--discard"]).exits(0);
    assert_eq!(internal(), 0);
    project.edit(r"'\.published$'", r"'\.events$'");
    demo::passes_again(project);
}

pub fn a_project_of_another_directory_is_left_alone_unless_it_is_taken_over(project: &Project) {
    let other = tempfile::tempdir().unwrap();
    let file = other.path().join("regions.yaml");
    std::fs::copy(project.file(), &file).unwrap();
    let fedctl = |arguments: &[&str]| Ran::of(project.command_on(&file, arguments));
    let owner = format!("belongs to `{}`", project.file().canonicalize().unwrap().display());
    let before = project.running();
    fedctl(&["plan"]).exits(0).says(&owner);
    fedctl(&["up", "--timeout", "60s"]).exits(1).says(&owner).says("--take-over");
    fedctl(&["down"]).exits(1).says(&owner);
    assert_eq!(project.running(), before);
    // with the passwords it is a move of the directory
    copy_directory(project, other.path());
    fedctl(&["up", "--timeout", "60s", "--take-over"]).exits(0);
    project.fedctl(&["up", "--timeout", "60s"]).exits(1).says("belongs to `");
    project.fedctl(&["up", "--timeout", "60s", "--take-over"]).exits(0);
    assert_eq!(project.running(), before);
    assert!(exists("volume", &format!("{}_owner", project.name)));
}

fn copy_directory(project: &Project, to: &std::path::Path) {
    let to = to.join(".fedctl");
    std::fs::create_dir_all(&to).unwrap();
    std::fs::copy(project.workdir().join("passwords.json"), to.join("passwords.json")).unwrap();
}
