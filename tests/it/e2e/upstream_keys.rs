//! Keys of upstreams with which links declare their internal queues.

use serde_json::{Value, json};

use crate::support::{Project, until};

const INTERNAL: &str = "federation: products.events -> asia";
/// Milliseconds that no message of these tests waits.
const TTL: u64 = 3_600_000;

/// The time to live with which europe's internal queue was declared.
fn declared(project: &Project) -> Value {
    let queues = project.broker("europe").get("/queues/%2F?disable_stats=true&enable_queue_totals=true");
    let queue = queues.as_array().unwrap().iter().find(|queue| queue["name"] == INTERNAL);
    queue.unwrap()["arguments"]["x-message-ttl"].clone()
}

pub fn a_queue_that_a_link_would_declare_otherwise_needs_a_decision(project: &Project) {
    project.write(&project.topology(&["europe", "asia", "america"]));
    project.up();
    let (europe, asia) = (project.broker("europe"), project.broker("asia"));
    let queue = asia.tap("products.events", "declared");
    europe.await_binding("products.events", "declared", "asia");

    // what the brokers themselves make of it
    let path = "/parameters/federation-upstream/%2F/europe";
    let mut definition = asia.get(path)["value"].clone();
    definition["message-ttl"] = json!(TTL);
    asia.put(path, &json!({"value": definition}));
    let refused = |link: &Value| link["error"].as_str().is_some_and(|error| error.contains("PRECONDITION"));
    until("the link is refused", || project.links("down").iter().any(refused).then_some(()));
    assert!(europe.publish("products.events", "declared", "waits"));
    project.up();
    until("the message", || (asia.take(&queue) == ["waits"]).then_some(()));

    let key = format!("reconnect-delay: 1\n    message-ttl: {TTL}");
    project.edit("reconnect-delay: 1", &key);
    let what = format!("queue `{INTERNAL}` in `europe`: exists, and cannot be declared anew for message-ttl");
    project.fedctl(&["link", "pause", "europe", "asia"]).exits(0);
    project
        .fedctl(&["link", "resume", "europe", "asia"])
        .exits(1)
        .says("1 change is blocked")
        .says("FED0520");
    project.edit(&key, "reconnect-delay: 1");
    project.fedctl(&["link", "resume", "europe", "asia"]).exits(0);
    project.edit("reconnect-delay: 1", &key);
    let blocked = project.fedctl(&["up"]).exits(1).says("6 changes are blocked; nothing was applied");
    blocked
        .says(&format!("{what} none → {TTL}: it is empty now"))
        .says("fedctl up --discard")
        .says("FED0240");
    project.fedctl(&["status"]).exits(0).says("48 of 48 links running");
    assert_eq!(declared(project), Value::Null);

    project.fedctl(&["up", "--discard"]).exits(0);
    project.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!(declared(project), json!(TTL));
    assert!(europe.publish("products.events", "declared", "arrives"));
    until("the message", || (asia.take(&queue) == ["arrives"]).then_some(()));

    project.edit(&key, "reconnect-delay: 1");
    project.fedctl(&["up"]).exits(1).says(&format!("{what} {TTL} → none: it is empty now"));
    project.fedctl(&["up", "--discard"]).exits(0);
    assert_eq!(declared(project), Value::Null);
    asia.delete(&format!("/queues/%2F/{queue}"));
    project.fedctl(&["status"]).exits(0).says("48 of 48 links running");
}
