//! What was removed, stopped or changed by hand is put back by another `up`.

use std::{collections::BTreeSet, time::Duration};

use fedctl_model::{definition::Upstream, secret::Secret};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    e2e::demo,
    support::{
        Project,
        engine::{docker, inspect, stop},
        until,
    },
};

/// Messages that wait while an upstream is edited.
const BACKLOG: usize = 200;

pub fn a_removed_upstream_is_put_back(project: &Project) {
    project.broker("asia").delete("/parameters/federation-upstream/%2F/europe");
    until("the links are missing", || (project.links("missing").len() == 8).then_some(()));
    project.fedctl(&["plan"]).exits(0).says("broker asia: upstream europe (not found)");
    demo::passes_again(project);
}

pub fn an_edited_upstream_is_corrected_without_losing_queued_messages(project: &Project) {
    let (europe, asia) = (project.broker("europe"), project.broker("asia"));
    let internal = "federation: products.events -> asia";
    let queue = asia.tap("products.events", "backlog");
    europe.await_binding("products.events", "backlog", "asia");
    docker(&["network", "disconnect", &project.wan(), &project.container("asia", "broker")]);
    for number in 0..BACKLOG {
        assert!(europe.publish("products.events", "backlog", &number.to_string()), "message {number}");
    }
    let waiting = until("the backlog", || Some(europe.depth(internal)).filter(|&depth| depth > 0));
    assert!(waiting >= BACKLOG as u64, "{waiting} wait");

    let upstream = "/parameters/federation-upstream/%2F/europe";
    let mut definition = asia.get(upstream);
    definition["value"]["prefetch-count"] = json!(7);
    asia.put(upstream, &json!({"value": definition["value"]}));
    project.fedctl(&["plan"]).exits(0).says("prefetch-count 7 → 1000").says("queued messages are kept");
    project.up();
    until("every message", || (europe.depth(internal) == 0).then_some(()));
    let arrived: BTreeSet<String> = asia.take(&queue).into_iter().collect();
    assert_eq!(arrived.len(), BACKLOG, "each message arrives");
    asia.delete(&format!("/queues/%2F/{queue}"));

    // the same while messages cross
    let queue = asia.tap("products.events", "crossing");
    europe.await_binding("products.events", "crossing", "asia");
    definition["value"]["prefetch-count"] = json!(9);
    asia.put(upstream, &json!({"value": definition["value"]}));
    let up = crate::support::ran::Running::of(project.command(&["up"]));
    for number in 0..BACKLOG {
        assert!(europe.publish("products.events", "crossing", &number.to_string()), "message {number}");
    }
    up.end().exits(0);
    until("every message", || (europe.depth(internal) == 0).then_some(()));
    let arrived: BTreeSet<String> = asia.take(&queue).into_iter().collect();
    assert_eq!(arrived.len(), BACKLOG, "each message arrives");
    asia.delete(&format!("/queues/%2F/{queue}"));
}

/// Evaluates Erlang in the broker of `asia`.
fn evaluate(project: &Project, expression: &str) {
    docker(&["exec", &project.container("asia", "broker"), "rabbitmqctl", "eval", expression]);
}

/// Has a link of `asia` connect again just when it is next stopped for good, at which the broker fails.
const CONNECT_WHEN_STOPPED: &str = "
    [{_, Links, _, _} | _] = mirrored_supervisor:which_children(rabbit_federation_queue_link_sup_sup),
    Test = self(),
    spawn(fun() ->
        erlang:trace(Links, true, ['receive']),
        Test ! ready,
        receive {trace, _, 'receive', {'$gen_call', _, {terminate_child, Link}}} ->
            Links ! {delayed_restart, {shutdown, {child, undefined, Link, no, no, no, no, no}}}
        end
    end),
    receive ready -> ok end.";

pub fn a_changed_upstream_reaches_every_link_although_the_broker_fails(project: &Project) {
    let asia = project.broker("asia");
    let europe = project.container("europe", "broker");
    let definition = asia.get("/parameters/federation-upstream/%2F/europe")["value"].clone();
    let uri = definition["uri"].as_str().unwrap().replace("@europe:", &format!("@{europe}:"));
    let Value::Object(mut settings) = definition else { panic!("{definition}") };
    settings.remove("uri");
    let upstream = Upstream { uri: Secret::new(uri), settings };
    let (broker, runtime) = (asia.under_test(), Runtime::new().unwrap());
    let failures = || {
        let log = docker(&["logs", &project.container("asia", "broker")]);
        log.matches("exit with reason {badmatch,{error,running}}").count()
    };

    evaluate(project, CONNECT_WHEN_STOPPED);
    let before = failures();
    runtime.block_on(broker.put_upstream("europe", &upstream)).unwrap();
    until("the broker fails", || (failures() > before).then_some(()));
    let changed = |link: &&Value| link["uri"].as_str().unwrap().contains(&europe);
    until("every link has the change", || {
        (asia.links_from("europe")?.iter().filter(changed).count() == 8).then_some(())
    });
    assert_eq!(asia.get("/parameters/federation-upstream/%2F/europe")["value"], json!(upstream.value()));

    // a deletion that is cut short in the middle, and another one
    evaluate(project, CONNECT_WHEN_STOPPED);
    assert!(!asia.try_delete("/parameters/federation-upstream/%2F/europe"), "the broker fails");
    assert!(!until("the links", || asia.links_from("europe")).is_empty());
    evaluate(project, CONNECT_WHEN_STOPPED);
    let before = failures();
    runtime.block_on(broker.delete_upstream("europe")).unwrap();
    until("the broker fails", || (failures() > before).then_some(()));
    assert_eq!(until("the links", || asia.links_from("europe")), Vec::<Value>::new());
    demo::passes_again(project);
}

/// Stores asia's upstream `europe` and tells no link.
fn store_untold(project: &Project, definition: &Value) {
    let definition = format!("maps:to_list(rabbit_json:decode(<<{:?}>>))", definition.to_string());
    let place = "<<\"/\">>, <<\"federation-upstream\">>, <<\"europe\">>";
    evaluate(project, &format!("rabbit_db_rtparams:set({place}, {definition})."));
}

/// As a broker leaves them that failed while it passed the change on, if the change is not repeated.
pub fn links_with_a_stale_password_are_restarted(project: &Project) {
    let asia = project.broker("asia");
    let path = "/parameters/federation-upstream/%2F/europe";
    let right = asia.get(path)["value"].clone();
    let mut wrong = right.clone();
    wrong["uri"] = json!("amqp://link-asia:wrong@europe");
    asia.put(path, &json!({"value": wrong}));
    until("the links are down", || (project.links("down").len() == 8).then_some(()));
    store_untold(project, &right);
    project.fedctl(&["plan"]).exits(0).says("nothing to do");
    demo::passes_again(project);
}

/// As an `up` leaves it that is killed when the broker has stored a change and failed to tell the links.
pub fn a_change_that_was_cut_short_reaches_every_link(project: &Project) {
    let fewer = "\n    prefetch-count: 900\n  policies:";
    project.edit("\n  policies:", fewer);
    let writes = |event: &Value| event["event"] == "step-started" && event["action"] == "upstream europe";
    let mut up = project.begin_up().until_it_reports(writes);
    up.signal("KILL");
    up.end().exits(137);
    project.edit(fewer, "\n  policies:");
    let asia = project.broker("asia");
    let path = "/parameters/federation-upstream/%2F/europe";
    let mut definition = asia.get(path)["value"].clone();
    definition["prefetch-count"] = json!(900);
    asia.put(path, &json!({"value": definition}));
    definition["prefetch-count"] = json!(1000);
    store_untold(project, &definition);
    let plan = project.fedctl(&["plan"]).exits(0);
    plan.says("broker asia: upstream europe (an earlier change was interrupted)");

    project.up();
    let europe = project.broker("europe");
    until("every link has it", || {
        let consumers = europe.get("/consumers/%2F");
        let links =
            consumers.as_array()?.iter().filter(|found| found["channel_details"]["user"] == "link-asia");
        let counts: Vec<&Value> = links.map(|found| &found["prefetch_count"]).collect();
        (!counts.is_empty() && counts.iter().all(|count| **count == 1000)).then_some(())
    });
    project.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
}

pub fn a_paused_broker_is_unpaused(project: &Project) {
    docker(&["pause", &project.container("america", "broker")]);
    project.fedctl(&["plan"]).exits(0).says("unpause (paused)");
    demo::passes_again(project);
}

pub fn a_killed_broker_is_started(project: &Project) {
    let broker = project.container("europe", "broker");
    docker(&["kill", &broker]);
    let cause = format!("container {broker}: start (not running: Exited (137) ");
    project.fedctl(&["plan"]).exits(0).says(&cause);
    demo::passes_again(project);
}

pub fn a_stopped_broker_ends_cleanly_is_shown_and_started(project: &Project) {
    let (code, took) = stop(&project.container("asia", "broker"));
    assert_eq!(code, 0, "a clean end");
    assert!(took < Duration::from_secs(10), "stopped after {took:?}");
    let ran = project.fedctl(&["status"]).exits(4).within(Duration::from_secs(5));
    ran.says("✗ stopped").says("✗ asia: Exited (0)").says("✓ running").says("… asia, indexer: broker:5672");
    demo::passes_again(project);
}

pub fn a_broker_that_lost_its_data_is_recreated(project: &Project) {
    let name = project.container("asia", "broker");
    docker(&["rm", "--force", &name]);
    docker(&["volume", "rm", &name]);
    project.fedctl(&["status"]).exits(4).says("? missing");
    demo::passes_again(project);
    assert_eq!(project.links("running").len(), 48);
}

pub fn a_removed_network_is_recreated(project: &Project) {
    let lan = format!("{}_america_lan", project.name);
    for service in ["broker", "products", "indexer", "taxes"] {
        docker(&["network", "disconnect", "--force", &lan, &project.container("america", service)]);
    }
    docker(&["network", "rm", &lan]);
    let broker = project.container("america", "broker");
    project
        .fedctl(&["plan"])
        .exits(0)
        .says(&format!("network {lan}: create (not found)"))
        .says(&format!("container {broker}: remove (its network or volume is missing)"));
    demo::passes_again(project);
}

pub fn a_removed_administrator_is_put_back(project: &Project) {
    project.broker("america").delete("/users/fedctl");
    project.fedctl(&["status"]).exits(4).says("✗ unreachable");
    project.fedctl(&["plan"]).exits(0).says("rejects the fedctl admin user (restored on restart)");
    demo::passes_again(project);
}

pub fn lost_passwords_are_replaced_everywhere(project: &Project) {
    let before = project.passwords();
    std::fs::remove_file(project.workdir().join("passwords.json")).unwrap();
    project
        .fedctl(&["status"])
        .exits(4)
        .says("fedctl has no password for it: `fedctl up` generates new ones");
    demo::passes_again(project);
    let after = project.passwords();
    for region in ["europe", "asia", "america"] {
        for (user, password) in before[region].as_object().unwrap() {
            assert_ne!(after[region][user], *password, "{user} in {region}");
        }
        assert_eq!(inspect(&project.container(region, "broker"))["RestartCount"], 0);
    }
    assert_eq!(
        project.broker("asia").status_for("fedctl", before["asia"]["fedctl"].as_str().unwrap(), "/whoami"),
        401
    );
}
