//! Calls and their replies against a real broker: each caller gets its own reply, or an error.

use libtest_mimic::Trial;

use crate::harness::async_cases;

use super::broker::{Broker, Probe};
use super::region::{Region, Running, until};
use fedctl_contract::program::Program::{Rpc, RpcWorker};
use futures_util::StreamExt;
use futures_util::future::join_all;
use lapin::BasicProperties;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use serde_json::{Value, json};

const REQUESTS: &str = "python-service-queue";

/// The properties that another client sets.
fn asking(id: &str, reply_to: &str) -> BasicProperties {
    BasicProperties::default().with_correlation_id(id.into()).with_reply_to(reply_to.into())
}

async fn call(api: &Running, call: Value) -> (u16, Value) {
    let answer = api.post("/rpc", call.to_string()).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn waiting(api: &Running) -> usize {
    let metrics = api.get("/metrics").await.text().await.unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix("fedctl_service_requests_waiting "));
    line.unwrap().parse().unwrap()
}

async fn a_command_is_answered_by_what_it_is() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let (api, worker) = (europe.start(Rpc).await, asia.start(RpcWorker).await);

    let analyze = json!({"cmd": "analyze", "data": {"text": "to be or not to be"}});
    let answer = api.post("/rpc", analyze.to_string()).await;
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-correlation-id"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!((&body["status"], &body["data"]["words"]), (&json!("success"), &json!(6)));
    let handled = worker.line("rpc_handled", |_| true).await;
    assert_eq!(
        ["correlation_id", "cmd", "outcome", "instance", "reply_to"]
            .map(|name| handled[name].as_str().unwrap()),
        [&*id, "analyze", "success", "rpc-worker", "rpc-replies.europe"]
    );
    let replied = api.line("rpc_reply", |_| true).await;
    assert_eq!(
        ["correlation_id", "cmd", "outcome"].map(|name| replied[name].as_str().unwrap()),
        [&*id, "analyze", "success"]
    );
    assert!(replied["took_ms"].is_u64());

    let pong = json!({"status": "success", "data": {"region": "asia", "instance": "rpc-worker"}});
    assert_eq!(call(&api, json!({"cmd": "ping"})).await, (200, pong));
    for (cmd, data, error, message) in [
        ("make-coffee", json!(null), "unknown_pattern", "there is no command `make-coffee`"),
        ("fail", json!({"message": "no disk"}), "internal_server_error", "no disk"),
        ("slow", json!({"ms": 10_001}), "invalid_request", "`ms`: not an integer up to 10000"),
    ] {
        let refused = json!({"error": error, "message": message});
        assert_eq!(call(&api, json!({"cmd": cmd, "data": data})).await, (200, refused));
        worker.line("rpc_handled", |line| line["cmd"] == cmd && line["outcome"] == error).await;
        api.line("rpc_reply", |line| line["cmd"] == cmd && line["outcome"] == error).await;
    }
    assert_eq!(waiting(&api).await, 0);
}

async fn a_worker_of_another_make_needs_two_properties_only() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let api = Region::new("asia", &uri).start(Rpc).await;
    let probe = Probe::connect(&uri).await;
    let work = async |reply: &'static str| {
        let request = until("a request", async || probe.get(REQUESTS).await).await;
        let reply_to = request.properties.reply_to().as_ref().unwrap().to_string();
        let id = request.properties.correlation_id().clone().unwrap();
        let properties = BasicProperties::default().with_correlation_id(id);
        for _ in 0..2 {
            probe.publish("", &reply_to, properties.clone(), reply).await;
        }
        (request, reply_to)
    };
    let ask = || call(&api, json!({"cmd": "analyze", "data": {"n": 1}, "timeout_ms": 20_000}));

    let nest = r#"{"response": [1],  "isDisposed": true}"#;
    let (answer, (request, reply_to)) = tokio::join!(ask(), work(nest));
    assert_eq!(answer, (200, serde_json::from_str(nest).unwrap()));
    assert_eq!(reply_to, "rpc-replies.asia");
    let id = request.properties.correlation_id().as_ref().unwrap().as_str();
    let envelope = format!(r#"{{"pattern":{{"cmd":"analyze"}},"data":{{"n":1}},"id":"{id}"}}"#);
    assert_eq!(std::str::from_utf8(&request.data).unwrap(), envelope);
    let late = api.line("late_reply_dropped", |_| true).await;
    assert_eq!(late["correlation_id"], id, "the second reply matches no request");

    let (answer, _) = tokio::join!(ask(), work("{not json"));
    assert_eq!((answer.0, &answer.1["error"]), (502, &json!("invalid_reply")));

    probe.publish("", "rpc-replies.asia", BasicProperties::default(), "{}").await;
    api.line("dead_lettered", |line| line["reason"] == "no `correlation_id`").await;
}

async fn a_caller_of_another_make_needs_two_properties_only() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let worker = Region::new("asia", &uri).start(RpcWorker).await;
    let probe = Probe::connect(&uri).await;
    // Any queue will do; this one has no consumer.
    let mine = "rpc-replies.europe";
    for (n, (body, word)) in [
        (r#"{"pattern": {"cmd": "ping"}, "data": null, "id": 7}"#, "success"),
        (r#"{"pattern": {"cmd": "ping"}}"#, "success"),
        (r#"{"pattern": {"cmd": "brew"}, "data": {}}"#, "unknown_pattern"),
        ("{not json", "invalid_request"),
        (r#"{"cmd": "ping"}"#, "invalid_request"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("c-{n}");
        probe.publish("", REQUESTS, asking(&id, mine), body).await;
        let reply = until("a reply", async || probe.get(mine).await).await;
        assert_eq!(reply.properties.correlation_id().as_ref().unwrap().as_str(), id);
        assert_eq!(reply.properties.content_type().as_ref().unwrap().as_str(), "application/json");
        let reply: Value = serde_json::from_slice(&reply.data).unwrap();
        assert_eq!(reply.get("error").or(reply.get("status")).unwrap(), word, "{reply}");
        assert!(reply.get("error").is_none() || reply["message"].is_string(), "{reply}");
    }

    let none = BasicProperties::default;
    let ping = r#"{"pattern": {"cmd": "ping"}}"#;
    probe.publish("", REQUESTS, none(), ping).await;
    probe.publish("", REQUESTS, none(), "{not json").await;
    probe.publish("", REQUESTS, asking("lost", "nobody"), ping).await;
    for reason in ["no `reply_to`", ", and no `reply_to`", "with routing key `nobody`"] {
        worker.line("dead_lettered", |line| line["reason"].as_str().unwrap().contains(reason)).await;
    }
    assert_eq!(worker.lines("unroutable").len(), 1, "no waiting gives a queue to a reply without one");
    assert!(
        worker
            .lines("dead_lettered")
            .iter()
            .all(|line| line["dead_letter_queue"] == "dead-letters.rpc-worker")
    );
    assert_eq!(probe.depth("dead-letters.rpc-worker").await.0, 3);
}

async fn replies_without_a_queue_are_distinguished_from_those_published_with_them() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let mut asia = Region::new("asia", &uri);
    asia.options.insert("WORKERS".to_owned(), "64".to_owned());
    let _declares = asia.start(Rpc).await;
    let probe = Probe::connect(&uri).await;
    let ids: Vec<String> = (0..60).map(|n| format!("c-{n}")).collect();
    let lost = |id: &String| id.ends_with(['1', '2', '5', '8']);
    for id in &ids {
        let reply_to = if lost(id) { "nobody" } else { "rpc-replies.europe" };
        probe.publish("", REQUESTS, asking(id, reply_to), r#"{"pattern": {"cmd": "ping"}}"#).await;
    }
    let worker = asia.start(RpcWorker).await;
    let taken = |queue: &'static str, wanted: bool| {
        let mut wanted: Vec<&String> = ids.iter().filter(|id| lost(id) == wanted).collect();
        let probe = &probe;
        async move {
            wanted.sort();
            let mut found = Vec::new();
            while found.len() < wanted.len() {
                let message = until("a message", async || probe.get(queue).await).await;
                found.push(message.properties.correlation_id().as_ref().unwrap().to_string());
            }
            found.sort();
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted);
        }
    };
    taken("rpc-replies.europe", false).await;
    taken("dead-letters.rpc-worker", true).await;
    worker.wrote("unroutable", 24).await;
}

async fn a_caller_of_the_same_region_may_use_direct_reply_to() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let worker = Region::new("asia", &uri).start(RpcWorker).await;
    let connection = lapin::Connection::connect(&uri, lapin::ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let direct = "amq.rabbitmq.reply-to";
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut replies =
        channel.basic_consume(direct.into(), "".into(), options, FieldTable::default()).await.unwrap();
    let body = br#"{"pattern": {"cmd": "ping"}}"#;
    for id in ["one", "two"] {
        let options = BasicPublishOptions::default();
        channel.basic_publish("".into(), REQUESTS.into(), options, body, asking(id, direct)).await.unwrap();
        let reply = tokio::time::timeout(std::time::Duration::from_secs(10), replies.next()).await;
        let reply = reply.expect("a reply").unwrap().unwrap();
        assert_eq!(reply.properties.correlation_id().as_ref().unwrap().as_str(), id);
        worker.line("rpc_handled", |line| line["correlation_id"] == id).await;
    }
    assert!(worker.lines("dead_lettered").is_empty());

    // As queue federation brings it from another region.
    let mut hop = FieldTable::default();
    hop.insert("uri".into(), AMQPValue::LongString("amqp://europe-broker".into()));
    let mut headers = FieldTable::default();
    let hops = FieldArray::from(vec![AMQPValue::FieldTable(hop)]);
    headers.insert("x-received-from".into(), AMQPValue::FieldArray(hops));
    let properties = asking("far", "amq.rabbitmq.reply-to.abc").with_headers(headers);
    Probe::connect(&uri).await.publish("", REQUESTS, properties, r#"{"pattern": {"cmd": "ping"}}"#).await;
    worker.line("dead_lettered", |line| line["reason"].as_str().unwrap().contains("direct reply-to")).await;
}

async fn a_call_that_times_out_no_longer_waits_and_its_late_reply_is_dropped() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let api = europe.start(Rpc).await;
    let asked = std::time::Instant::now();
    let alone = async {
        let answer = api.post("/rpc", r#"{"cmd": "ping", "timeout_ms": 1500}"#).await;
        let id = answer.headers()["x-correlation-id"].to_str().unwrap().to_owned();
        (id, answer.status(), answer.json::<Value>().await.unwrap())
    };
    let shown = until("the call is shown", async || (waiting(&api).await == 1).then_some(()));
    let ((id, status, body), ()) = tokio::join!(alone, shown);
    assert!((1_500..10_000).contains(&asked.elapsed().as_millis()), "{:?}", asked.elapsed());
    assert_eq!(status, 504);
    assert_eq!(body, json!({"error": "timeout", "message": "no reply to `ping` within 1500 ms"}));
    assert_eq!(waiting(&api).await, 0);
    let line = &api.lines("rpc_timeout")[0];
    assert_eq!((&line["correlation_id"], &line["cmd"]), (&json!(id), &json!("ping")));
    assert_eq!(line["timeout_ms"], 1500);

    // The worker is too late for the first call, and in time for the second.
    let second = call(&api, json!({"cmd": "slow", "data": {"ms": 5}, "timeout_ms": 20_000}));
    let (answer, worker) = tokio::join!(second, asia.start(RpcWorker));
    assert_eq!(answer, (200, json!({"status": "success", "data": {"ms": 5}})));
    worker.line("rpc_handled", |line| line["correlation_id"] == json!(id)).await;
    api.line("late_reply_dropped", |line| line["correlation_id"] == json!(id)).await;
    let metrics = api.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("answers_late_total{queue=\"rpc-replies.europe\"} 1\n"), "{metrics}");
}

async fn a_caller_that_hangs_up_waits_no_more() {
    let broker = Broker::shared();
    let api = Region::new("asia", &broker.vhost_uri()).start(Rpc).await;
    let hurried = reqwest::Client::builder().timeout(std::time::Duration::from_millis(500)).build().unwrap();
    let url = format!("http://{}/rpc", api.address);
    let asked = hurried.post(url).body(r#"{"cmd": "ping", "timeout_ms": 60000}"#).send();
    let shown = until("the call is shown", async || (waiting(&api).await == 1).then_some(()));
    let (gone, ()) = tokio::join!(asked, shown);
    assert!(gone.unwrap_err().is_timeout());
    until("nothing waits", async || (waiting(&api).await == 0).then_some(())).await;
}

async fn a_hundred_calls_at_once_each_get_their_own_answer() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let apis = [europe.start(Rpc).await, asia.start(Rpc).await];
    let workers = [europe.start(RpcWorker).await, asia.start(RpcWorker).await];
    let calls = (0..100).map(|n| {
        call(&apis[n % 2], json!({"cmd": "analyze", "data": {"numbers": [n, 1000]}, "timeout_ms": 30_000}))
    });
    for (n, (status, body)) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!((status, body["data"]["min"].as_f64()), (200, Some(f64::from(u32::try_from(n).unwrap()))));
    }
    for (api, worker) in apis.iter().zip(&workers) {
        assert_eq!((api.lines("rpc_reply").len(), waiting(api).await), (50, 0));
        worker.line("rpc_handled", |_| true).await;
    }
}

async fn two_fronts_of_one_region_each_get_the_replies_to_their_own_calls() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (mut europe, mut asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    for region in [&mut europe, &mut asia] {
        region.options.insert("RPC_INSTANCES".to_owned(), "europe/rpc,asia/rpc,asia/rpc-2".to_owned());
    }
    // the worker declares the queues of all callers, though none runs yet
    let worker = europe.start(RpcWorker).await;
    let probe = Probe::connect(&uri).await;
    for queue in ["rpc-replies.europe", "rpc-replies.asia", "rpc-replies.asia.rpc-2"] {
        assert!(probe.exists(queue).await, "{queue}");
    }
    let fronts = [asia.launch_as(Rpc, "rpc", &[]).await, asia.launch_as(Rpc, "rpc-2", &[]).await];
    for front in &fronts {
        front.healthy().await;
    }
    let calls = (0..60).map(|n| {
        let call = json!({"cmd": "analyze", "data": {"numbers": [n, 1000]}, "timeout_ms": 10_000});
        async move { (call.clone(), n) }
    });
    let answers = join_all(calls.map(async |asked| {
        let (asked, n) = asked.await;
        (n, call(&fronts[n % 2], asked).await)
    }));
    for (n, (status, body)) in answers.await {
        assert_eq!((status, body["data"]["min"].as_f64()), (200, Some(f64::from(u32::try_from(n).unwrap()))));
    }
    for (front, reply_to) in fronts.iter().zip(["rpc-replies.asia", "rpc-replies.asia.rpc-2"]) {
        assert_eq!((front.lines("rpc_reply").len(), front.lines("late_reply_dropped").len()), (30, 0));
        let handled = worker.wrote("rpc_handled", 60).await;
        assert_eq!(handled.iter().filter(|line| line["reply_to"] == reply_to).count(), 30);
    }
}

/// How many of eleven calls each of two containers has done, the lesser number first: one call is slow.
async fn shares(workers: u32) -> [usize; 2] {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, mut asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let api = europe.start(Rpc).await;
    asia.options.insert("WORKERS".to_owned(), workers.to_string());
    let containers = [asia.start(RpcWorker).await, asia.start(RpcWorker).await];
    let probe = Probe::connect(&uri).await;
    let slow = call(&api, json!({"cmd": "slow", "data": {"ms": 4000}}));
    let others = async {
        until("the slow one is in flight", async || {
            let taken = probe.depth(REQUESTS).await == (0, 2 * workers);
            (taken && !api.lines("published").is_empty()).then_some(())
        })
        .await;
        for _ in 0..10 {
            assert_eq!(call(&api, json!({"cmd": "ping"})).await.0, 200);
        }
        assert!(api.lines("rpc_reply").iter().all(|line| line["cmd"] == "ping"), "the slow one is still out");
    };
    let (slow, ()) = tokio::join!(slow, others);
    assert_eq!(slow.0, 200);
    let done = async || {
        let handled = containers.each_ref().map(|container| container.lines("rpc_handled").len());
        (handled.iter().sum::<usize>() == 11).then_some(handled)
    };
    let mut handled = until("all are handled", done).await;
    handled.sort_unstable();
    handled
}

async fn workers_compete_and_a_busy_one_holds_up_no_other() {
    assert_eq!(shares(1).await, [1, 10], "the busy one takes nothing more");
}

async fn two_workers_in_one_work_while_one_call_takes_long() {
    let shares = shares(2).await;
    assert!(shares[0] > 1, "the other one in it works: {shares:?}");
}

async fn workers_in_one_process_have_one_call_in_flight_each() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let mut asia = Region::new("asia", &uri);
    asia.options.insert("WORKERS".to_owned(), "3".to_owned());
    let worker = asia.start(RpcWorker).await;
    let probe = Probe::connect(&uri).await;
    for n in 0..5 {
        let slow = r#"{"pattern": {"cmd": "slow"}, "data": {"ms": 2000}}"#;
        probe.publish("", REQUESTS, asking(&format!("c-{n}"), "rpc-replies.asia"), slow).await;
    }
    let (waiting, consumers) = (2, 3);
    let taken = async || (probe.depth(REQUESTS).await == (waiting, consumers)).then_some(());
    until("three are in flight and no more", taken).await;
    assert_eq!(worker.lines("rpc_handled").len(), 0, "none of them is done yet");
    let done = async || (worker.lines("rpc_handled").len() == 5).then_some(());
    until("all are done", done).await;
}

async fn calls_in_flight_at_a_killed_worker_are_redelivered_to_another() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let (api, first) = (europe.start(Rpc).await, europe.start(RpcWorker).await);
    let probe = Probe::connect(&uri).await;
    let ask = call(&api, json!({"cmd": "slow", "data": {"ms": 3000}, "timeout_ms": 30_000}));
    let killing = async {
        until("it is in flight", async || {
            let taken = probe.depth(REQUESTS).await == (0, 1);
            (taken && !api.lines("published").is_empty()).then_some(())
        })
        .await;
        first.task.abort();
        until("it is back", async || (probe.depth(REQUESTS).await == (1, 0)).then_some(())).await;
        asia.start(RpcWorker).await
    };
    let (answer, second) = tokio::join!(ask, killing);
    assert_eq!(answer, (200, json!({"status": "success", "data": {"ms": 3000}})));
    assert_eq!(second.line("rpc_handled", |_| true).await["redelivered"], true);
}

async fn a_request_that_comes_twice_is_answered_once() {
    let broker = Broker::shared();
    let uri = broker.vhost_uri();
    let worker = Region::new("asia", &uri).start(RpcWorker).await;
    let probe = Probe::connect(&uri).await;
    for _ in 0..2 {
        let properties = asking("c-1", "rpc-replies.europe").with_message_id("m-1".into());
        probe.publish("", REQUESTS, properties, r#"{"pattern": {"cmd": "ping"}}"#).await;
    }
    worker.line("duplicate_skipped", |line| line["message_id"] == "m-1").await;
    worker.line("rpc_handled", |line| line["message_id"] == "m-1").await;
    assert_eq!(worker.lines("rpc_handled").len(), 1);
    let reply = probe.get("rpc-replies.europe").await.unwrap();
    assert_eq!(reply.properties.message_id().as_ref().unwrap().as_str(), "m-1.reply");
    assert!(probe.get("rpc-replies.europe").await.is_none());
}

async fn calls_go_on_after_a_restart_of_the_broker() {
    let broker = Broker::create();
    let uri = broker.uri("%2f");
    let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
    let (api, worker) = (europe.launch(Rpc).await, asia.launch(RpcWorker).await);
    api.unhealthy().await;
    let refused = call(&api, json!({"cmd": "ping"})).await;
    assert_eq!((refused.0, &refused.1["error"]), (503, &json!("UNAVAILABLE")));
    assert_eq!(waiting(&api).await, 0);

    tokio::task::block_in_place(|| broker.start());
    api.healthy().await;
    worker.healthy().await;
    assert_eq!(call(&api, json!({"cmd": "ping"})).await.0, 200);
    worker.stop().await;

    // Sent before the restart, processed after it, answered to the same waiting caller.
    let over = call(&api, json!({"cmd": "ping", "timeout_ms": 60_000}));
    let restart = async {
        until("the request is kept", async || (api.lines("published").len() == 2).then_some(())).await;
        tokio::task::block_in_place(|| broker.restart());
        api.line("disconnected", |line| !line["reason"].as_str().unwrap().contains("refused")).await;
        api.healthy().await;
        asia.start(RpcWorker).await
    };
    let (over, _worker) = tokio::join!(over, restart);
    assert_eq!(over.0, 200);
    assert_eq!(call(&api, json!({"cmd": "ping"})).await.0, 200);
}

pub fn cases() -> Vec<Trial> {
    async_cases! {
        a_command_is_answered_by_what_it_is,
        a_worker_of_another_make_needs_two_properties_only,
        a_caller_of_another_make_needs_two_properties_only,
        replies_without_a_queue_are_distinguished_from_those_published_with_them,
        a_caller_of_the_same_region_may_use_direct_reply_to,
        a_call_that_times_out_no_longer_waits_and_its_late_reply_is_dropped,
        a_caller_that_hangs_up_waits_no_more,
        a_hundred_calls_at_once_each_get_their_own_answer,
        two_fronts_of_one_region_each_get_the_replies_to_their_own_calls,
        workers_compete_and_a_busy_one_holds_up_no_other,
        two_workers_in_one_work_while_one_call_takes_long,
        workers_in_one_process_have_one_call_in_flight_each,
        calls_in_flight_at_a_killed_worker_are_redelivered_to_another,
        a_request_that_comes_twice_is_answered_once,
        calls_go_on_after_a_restart_of_the_broker,
    }
}
