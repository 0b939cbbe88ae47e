//! The profile service against a real broker: a name changed anywhere becomes readable everywhere.

use libtest_mimic::Trial;

use crate::harness::async_cases;

use super::broker::{Broker, Probe};
use super::region::{Region, Running, until};
use fedctl_contract::program::Program::Profile;
use lapin::BasicProperties;
use serde_json::{Value, json};

const OLD: &str = "01900000-0000-7000-8000-000000000000";
const NEW: &str = "0190ffff-0000-7000-8000-000000000000";

fn identified(id: &str) -> BasicProperties {
    BasicProperties::default().with_message_id(id.into())
}

fn user(id: i64, name: &str) -> Value {
    json!({"id": id, "full_name": name})
}

/// Posts a name and gives the correlation identifier of the answer.
async fn created(service: &Running, path: &str, form: &'static str, name: &str) -> String {
    let answer = service.post(path, form).await;
    let status = answer.status();
    let correlation = answer.headers().get("x-correlation-id").map(|id| id.to_str().unwrap().to_owned());
    let body: Value = answer.json().await.unwrap();
    assert_eq!((status.as_u16(), body), (201, json!({"full_name": name})), "POST {path} {form}");
    correlation.unwrap()
}

async fn reads(service: &Running, user: &Value) {
    let path = format!("/users/{}", user["id"]);
    until(&format!("GET {path} gives {user}"), async || {
        let answer = service.get(&path).await;
        (answer.status() == 200 && answer.json::<Value>().await.unwrap() == *user).then_some(())
    })
    .await;
}

async fn a_name_posted_in_one_region_becomes_readable_in_every_region_once() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let (near, far) = (europe.start(Profile).await, asia.start(Profile).await);
    let probe = Probe::connect(&uri).await;
    let tap = probe.tap("user_updates", "user.profile.update").await;
    let unknown = near.get("/users/7").await;
    assert_eq!(unknown.status(), 404);
    let missing = json!({"error": "NOT_FOUND", "message": "User not found"});
    assert_eq!(unknown.json::<Value>().await.unwrap(), missing);
    assert_eq!(near.get("/users/seven").await.status(), 404);

    let correlation = created(&near, "/users/7", "full_name=Zo%C3%AB+Lee", "Zoë Lee").await;
    reads(&near, &user(7, "Zoë Lee")).await;
    reads(&far, &user(7, "Zoë Lee")).await;

    let sent = probe.get(&tap).await.unwrap();
    assert_eq!(std::str::from_utf8(&sent.data).unwrap(), r#"{"full_name":"Zoë Lee","id":7}"#);
    assert_eq!(sent.properties.correlation_id().as_ref().unwrap().as_str(), correlation);
    assert_eq!(*sent.properties.delivery_mode(), Some(2));
    let published = &near.lines("published")[0];
    assert_eq!((&published["id"], &published["full_name"]), (&json!(7), &json!("Zoë Lee")));
    for service in [near, far] {
        let lines = service.stop().await;
        let updated: Vec<_> = lines.iter().filter(|line| line["event"] == "profile_updated").collect();
        assert_eq!(updated.len(), 1, "{updated:?}");
        assert_eq!(updated[0]["correlation_id"], json!(correlation));
        assert_eq!((&updated[0]["id"], &updated[0]["full_name"]), (&json!(7), &json!("Zoë Lee")));
    }
}

async fn an_answer_waits_for_no_consumer_and_a_stopped_region_catches_up() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    asia.start(Profile).await.stop().await;
    let near = europe.start(Profile).await;
    let locked = rusqlite::Connection::open(europe.store.path().join("users.db")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    created(&near, "/users/1", "full_name=Ann", "Ann").await;
    created(&near, "/users/1", "full_name=Bea", "Bea").await;
    assert_eq!(near.get("/users/1").await.status(), 404, "the api itself writes nothing");
    drop(locked);
    reads(&near, &user(1, "Bea")).await;
    reads(&asia.start(Profile).await, &user(1, "Bea")).await;
}

async fn unacknowledged_messages_of_a_stopped_consumer_are_redelivered() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let europe = Region::new("europe", &uri);
    let service = europe.start(Profile).await;
    let probe = Probe::connect(&uri).await;
    let locked = rusqlite::Connection::open(europe.store.path().join("users.db")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = user(1, "Ann").to_string();
    probe.publish("user_updates", "user.profile.update", identified("held"), &body).await;
    until("the message is in flight", async || (probe.depth("profile.europe").await == (0, 1)).then_some(()))
        .await;
    let lines = service.stop().await;
    assert!(!lines.iter().any(|line| line["event"] == "profile_updated"));
    until("the message is back", async || (probe.depth("profile.europe").await == (1, 0)).then_some(()))
        .await;
    drop(locked);

    let service = europe.start(Profile).await;
    let line = service.line("profile_updated", |line| line["message_id"] == "held").await;
    assert_eq!(line["redelivered"], true);
    reads(&service, &user(1, "Ann")).await;
}

async fn a_message_that_comes_twice_is_applied_once_and_an_older_one_never() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let service = Region::new("europe", &uri).start(Profile).await;
    let probe = Probe::connect(&uri).await;
    let publish = async |id: &str, name: &str| {
        let body = user(1, name).to_string();
        probe.publish("user_updates", "user.profile.rename", identified(id), &body).await;
    };
    publish(NEW, "new").await;
    publish(NEW, "again").await;
    let line = service.line("duplicate_skipped", |_| true).await;
    assert_eq!((&line["id"], &line["full_name"]), (&json!(1), &json!("again")));
    publish(OLD, "old").await;
    service.line("stale_skipped", |line| line["full_name"] == "old").await;
    reads(&service, &user(1, "new")).await;
    created(&service, "/users/1", "full_name=newest", "newest").await;
    reads(&service, &user(1, "newest")).await;
    assert_eq!(service.lines("profile_updated").len(), 2);
}

async fn an_unbound_routing_key_is_an_error_with_the_reason() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let service = Region::new("asia", &uri).start(Profile).await;
    let refused = service.post("/users/1/events/avatar.update", "full_name=Ann").await;
    assert_eq!(refused.status(), 500);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["error"], "UNROUTABLE");
    let said = refused["message"].as_str().unwrap();
    assert!(said.contains("`user_updates` with routing key `user.avatar.update`"), "{said}");
    assert_eq!(service.lines("unroutable")[0]["routing_key"], "user.avatar.update");

    // A key that is not the usual one, and bound.
    created(&service, "/users/1/events/profile.rename", "full_name=Bea", "Bea").await;
    reads(&service, &user(1, "Bea")).await;
    assert_eq!(service.lines("profile_updated").len(), 1);
}

async fn a_poison_message_is_dead_lettered_and_the_queue_moves_on() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let service = Region::new("asia", &uri).start(Profile).await;
    let probe = Probe::connect(&uri).await;
    for body in ["{not json", r#"{"id": "1", "full_name": "Ann"}"#, r#"{"id": 1}"#] {
        probe.publish("user_updates", "user.profile.update", BasicProperties::default(), body).await;
    }
    created(&service, "/users/1", "full_name=Ann", "Ann").await;
    reads(&service, &user(1, "Ann")).await;
    for reason in ["not valid JSON", "id: Not a valid integer.", "full_name: Missing data"] {
        service.line("dead_lettered", |line| line["reason"].as_str().unwrap().contains(reason)).await;
    }
    let dead_lettered = async || (probe.depth("dead-letters.profile").await.0 == 3).then_some(());
    until("all are dead-lettered", dead_lettered).await;
}

pub fn cases() -> Vec<Trial> {
    async_cases! {
        a_name_posted_in_one_region_becomes_readable_in_every_region_once,
        an_answer_waits_for_no_consumer_and_a_stopped_region_catches_up,
        unacknowledged_messages_of_a_stopped_consumer_are_redelivered,
        a_message_that_comes_twice_is_applied_once_and_an_older_one_never,
        an_unbound_routing_key_is_an_error_with_the_reason,
        a_poison_message_is_dead_lettered_and_the_queue_moves_on,
    }
}
