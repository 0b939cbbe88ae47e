//! Commands to hosts, against a real broker. Two regions on one broker share its queues, as with
//! federation.

use libtest_mimic::Trial;

use crate::harness::async_cases;

use super::broker::{Broker, Probe};
use super::region::{Region, Running, until};
use fedctl_contract::program::Program::{Compute, ComputeHost};
use fedctl_messaging::Log;
use fedctl_services::run_logged;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const EUROPE: &str = "europe/compute-host";
const ASIA: &str = "asia/compute-host-1";
const FAR: &str = "asia/compute-host-2";

/// A vhost with two regions, whose services know `hosts`.
struct World {
    _broker: std::sync::Arc<Broker>,
    uri: String,
    europe: Region,
    asia: Region,
    hosts: String,
}

impl World {
    fn new(hosts: &[&str]) -> Self {
        let broker = Broker::shared();
        let uri = broker.vhost_uri();
        let (europe, asia) = (Region::new("europe", &uri), Region::new("asia", &uri));
        Self { _broker: broker, uri, europe, asia, hosts: hosts.join(",") }
    }

    async fn api(&self) -> Running {
        let api = self.europe.launch_as(Compute, "compute", &[("COMPUTE_HOSTS", &self.hosts)]).await;
        api.healthy().await;
        api
    }

    async fn host(&self, host: &str, capacity: &str, images: &str) -> Running {
        let (region, instance) = host.split_once('/').unwrap();
        let region = if region == "europe" { &self.europe } else { &self.asia };
        let options = [("COMPUTE_HOSTS", &*self.hosts), ("CAPACITY", capacity), ("IMAGES", images)];
        let host = region.launch_as(ComputeHost, instance, &options).await;
        host.healthy().await;
        host
    }
}

fn vm(name: &str, image: &str, cpus: i64) -> Value {
    json!({"name": name, "image": image, "cpus": cpus})
}

async fn create(api: &Running, wanted: &Value) -> (u16, Value) {
    let answer = api.post("/vms", wanted.to_string()).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn post(api: &Running, path: &str) -> Value {
    let answer = api.post(path, "").await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

/// The machines of each host, as the API reports them.
async fn listed(api: &Running) -> Vec<(String, Vec<String>)> {
    let reply: Value = api.get("/vms").await.json().await.unwrap();
    assert_eq!(reply["missing"], json!([]), "{reply}");
    let name = |vm: &Value| vm["name"].as_str().unwrap().to_owned();
    let names = |answer: &Value| answer["response"]["vms"].as_array().unwrap().iter().map(name).collect();
    let host = |answer: &Value| answer["response"]["host"].as_str().unwrap().to_owned();
    let mut hosts: Vec<_> =
        reply["answers"].as_array().unwrap().iter().map(|answer| (host(answer), names(answer))).collect();
    hosts.sort();
    hosts
}

fn status_of<'a>(reply: &'a Value, host: &str) -> &'a Value {
    let answers = reply["answers"].as_array().unwrap();
    let of = |answer: &&Value| answer["response"]["host"] == host;
    &answers.iter().find(of).unwrap_or_else(|| panic!("no answer of {host}: {reply}"))["execution-info"]
}

fn command(id: &str, reply_to: Option<&str>) -> BasicProperties {
    let properties =
        BasicProperties::default().with_message_id(id.into()).with_correlation_id(format!("c-{id}").into());
    reply_to.map_or(properties.clone(), |queue| properties.with_reply_to(queue.into()))
}

fn named(properties: BasicProperties, name: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("x-command".into(), AMQPValue::LongString(name.into()));
    properties.with_headers(headers)
}

async fn answer(probe: &Probe, queue: &str) -> (Value, String) {
    let answer = until("an answer", async || probe.get(queue).await).await;
    let id = answer.properties.message_id().as_ref().unwrap().to_string();
    (serde_json::from_slice(&answer.data).unwrap(), id)
}

async fn a_machine_is_created_on_exactly_one_of_two_hosts() {
    let world = World::new(&[EUROPE, ASIA]);
    let api = world.api().await;
    let (near, far) = (world.host(EUROPE, "8", "debian").await, world.host(ASIA, "8", "debian").await);

    let answer = api.post("/vms", vm("web", "debian", 2).to_string()).await;
    assert_eq!(answer.status(), 201);
    let correlation = answer.headers()["x-correlation-id"].to_str().unwrap().to_owned();
    let reply: Value = answer.json().await.unwrap();
    let host = reply["response"]["host"].as_str().unwrap().to_owned();
    let made = json!({"name": "web", "image": "debian", "cpus": 2, "state": "stopped"});
    assert_eq!(
        reply,
        json!({"execution-info": {"status": "success"}, "response": {"host": host, "vm": made}})
    );
    for n in 0..3 {
        assert_eq!(create(&api, &vm(&format!("more-{n}"), "debian", 1)).await.0, 201);
    }
    let created = [near.lines("vm_created"), far.lines("vm_created")].concat();
    assert_eq!(created.len(), 4, "{created:?}");
    let web: Vec<_> = created.iter().filter(|line| line["name"] == "web").collect();
    assert_eq!(web.len(), 1);
    assert_eq!((&web[0]["host"], &web[0]["correlation_id"]), (&json!(host), &json!(correlation)));
    let answered = api.lines("create_answered");
    assert_eq!((&answered[0]["host"], &answered[0]["status"]), (&json!(host), &json!("success")));
    let held: usize = listed(&api).await.iter().map(|(_, machines)| machines.len()).sum();
    assert_eq!(held, 4);
}

async fn a_host_without_capacity_or_the_image_lets_another_take_it() {
    let world = World::new(&[EUROPE, ASIA, FAR]);
    let api = world.api().await;
    let small = world.host(EUROPE, "1", "debian").await;
    let other = world.host(ASIA, "8", "alpine").await;
    let fit = world.host(FAR, "8", "debian").await;
    // Handed out in turn, so each host is the first of one of them.
    for n in 0..3 {
        let (status, reply) = create(&api, &vm(&format!("vm-{n}"), "debian", 2)).await;
        assert_eq!((status, &reply["response"]["host"]), (201, &json!(FAR)), "{reply}");
    }
    fit.wrote("vm_created", 3).await;
    let declined = small.line("vm_declined", |_| true).await;
    assert_eq!((&declined["reason"], &declined["handed_to"]), (&json!("capacity"), &json!(ASIA)));
    let declined = other.line("vm_declined", |_| true).await;
    assert_eq!((&declined["reason"], &declined["handed_to"]), (&json!("image"), &json!(FAR)));
    assert!(small.lines("vm_created").is_empty() && other.lines("vm_created").is_empty());
}

async fn a_machine_that_no_host_can_create_is_an_error_with_the_reason() {
    let world = World::new(&[EUROPE, ASIA]);
    let api = world.api().await;
    let hosts = [world.host(EUROPE, "1", "debian").await, world.host(ASIA, "2", "alpine,debian").await];
    for (wanted, reason) in [
        (vm("a", "plan9", 1), "no host has image `plan9`"),
        (vm("a", "alpine", 3), "no host has capacity for 3 cpus with image `alpine`"),
        (vm("a", "debian", 9), "no host has capacity for 9 cpus with image `debian`"),
    ] {
        let (status, reply) = create(&api, &wanted).await;
        assert_eq!(status, 409, "{reply}");
        assert_eq!(reply["execution-info"], json!({"status": "error", "reason": reason}));
    }
    for host in hosts {
        host.wrote("vm_declined", 3).await;
        assert!(host.lines("vm_created").is_empty());
    }
    let probe = Probe::connect(&world.uri).await;
    assert_eq!(probe.depth("computing-competing").await.0, 0);
}

async fn every_other_command_reaches_every_host_and_the_count_is_right() {
    let world = World::new(&[EUROPE, ASIA, FAR]);
    let api = world.api().await;
    let mut hosts = Vec::new();
    for host in [EUROPE, ASIA, FAR] {
        hosts.push(world.host(host, "8", "debian").await);
    }
    let (_, reply) = create(&api, &vm("web", "debian", 2)).await;
    let holder = reply["response"]["host"].as_str().unwrap().to_owned();
    let again = |reply: &Value| {
        assert_eq!(
            (&reply["known"], &reply["answered"], &reply["missing"]),
            (&json!(3), &json!(3), &json!([]))
        );
        for host in [EUROPE, ASIA, FAR] {
            let none = json!({"status": "error", "reason": "no such vm"});
            let expected = if host == holder { json!({"status": "success"}) } else { none };
            assert_eq!(status_of(reply, host), &expected);
        }
    };
    again(&post(&api, "/vms/web/start").await);
    assert_eq!(listed(&api).await.iter().filter(|(_, machines)| !machines.is_empty()).count(), 1);
    again(&post(&api, "/vms/web/stop").await);
    let deleted = reqwest::Client::new().delete(format!("http://{}/vms/web", api.address));
    again(&deleted.send().await.unwrap().json().await.unwrap());
    assert!(listed(&api).await.iter().all(|(_, machines)| machines.is_empty()));

    let collected = api.lines("answers_collected");
    let commands: Vec<_> = collected.iter().map(|line| line["command"].as_str().unwrap()).collect();
    assert_eq!(commands, ["start-vm", "list-vms", "stop-vm", "delete-vm", "list-vms"]);
    assert!(collected.iter().all(|line| line["known"] == 3 && line["answered"] == 3));
    for word in ["vm_started", "vm_stopped", "vm_deleted"] {
        let lines: Vec<_> = hosts.iter().flat_map(|host| host.lines(word)).collect();
        assert_eq!(lines.len(), 1, "{word}");
        assert_eq!(lines[0]["host"], json!(holder));
    }
}

async fn a_stopped_host_is_missing_by_name_and_gets_the_command_when_it_is_back_with_its_machines() {
    let world = World::new(&[EUROPE, ASIA]);
    let api = world.api().await;
    let near = world.host(EUROPE, "0", "debian").await;
    let far = world.host(ASIA, "8", "debian").await;
    assert_eq!(create(&api, &vm("web", "debian", 2)).await.0, 201);
    far.stop().await;

    let reply = post(&api, "/vms/web/start?timeout_ms=2000").await;
    assert_eq!(
        (&reply["known"], &reply["answered"], &reply["missing"]),
        (&json!(2), &json!(1), &json!([ASIA]))
    );
    assert_eq!(api.lines("answers_collected")[0]["missing"], json!([ASIA]));
    near.wrote("command_answered", 1).await;

    let far = world.host(ASIA, "8", "debian").await;
    let started = far.line("vm_started", |line| line["name"] == "web").await;
    let late = api.line("answer_late", |line| line["host"] == ASIA).await;
    assert_eq!((&late["correlation_id"], &late["status"]), (&started["correlation_id"], &json!("success")));
    let metrics = api.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("answers_late_total{queue=\"computing-replies.europe\"} 1"), "{metrics}");
    let reply: Value = api.get("/vms").await.json().await.unwrap();
    let kept = json!([{"name": "web", "image": "debian", "cpus": 2, "state": "running"}]);
    let answers = reply["answers"].as_array().unwrap();
    let machines = answers.iter().find(|answer| answer["response"]["host"] == ASIA).unwrap();
    assert_eq!(machines["response"]["vms"], kept);
}

async fn where_no_host_answers_the_request_times_out() {
    let world = World::new(&[EUROPE]);
    let api = world.api().await;
    let answer = api.post("/vms?timeout_ms=100", vm("web", "debian", 1).to_string()).await;
    assert_eq!(answer.status(), 504);
    assert!(answer.headers().contains_key("x-correlation-id"));
    assert_eq!(answer.json::<Value>().await.unwrap()["error"], "TIMEOUT");
    assert_eq!(api.lines("create_unanswered").len(), 1);

    let lonely = world.asia.start(Compute).await;
    let answer = lonely.get("/vms").await;
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().contains("COMPUTE_HOSTS"));
}

async fn a_command_that_comes_twice_is_done_once_and_answered_with_the_same_answer() {
    let world = World::new(&[ASIA]);
    let host = world.host(ASIA, "8", "debian").await;
    let probe = Probe::connect(&world.uri).await;
    let body = vm("web", "debian", 2).to_string();
    let properties = || command("m-1", Some("computing-replies.asia"));
    probe.publish("computing", "create-vm", properties(), &body).await;
    let first = answer(&probe, "computing-replies.asia").await;
    assert_eq!(first.0["execution-info"], json!({"status": "success"}));
    assert_eq!(first.1, format!("m-1.reply.{ASIA}"));
    host.stop().await;

    let host = world.host(ASIA, "8", "debian").await;
    probe.publish("computing", "create-vm", properties(), &body).await;
    // On every path: also when passed on by a host that has declined it.
    let own = "computing-host.asia.compute-host-1";
    probe.publish("", own, named(properties(), "create-vm"), &body).await;
    for _ in 0..2 {
        assert_eq!(answer(&probe, "computing-replies.asia").await, first);
    }
    host.wrote("duplicate_skipped", 2).await;
    assert!(host.lines("vm_created").is_empty());
    // Another message of that name is another request.
    probe.publish("computing", "create-vm", command("m-2", Some("computing-replies.asia")), &body).await;
    let (refused, _) = answer(&probe, "computing-replies.asia").await;
    assert_eq!(refused["execution-info"], json!({"status": "error", "reason": "vm `web` exists"}));
}

async fn a_machine_that_two_hosts_created_for_one_request_is_kept_by_one() {
    let world = World::new(&[EUROPE, ASIA]);
    let api = world.api().await;
    let probe = Probe::connect(&world.uri).await;
    let tap = probe.tap("computing", "create-vm").await;
    let (near, far) = (world.host(EUROPE, "8", "debian").await, world.host(ASIA, "8", "debian").await);
    let (_, reply) = create(&api, &vm("web", "debian", 2)).await;
    let first = reply["response"]["host"].as_str().unwrap().to_owned();
    let second = if first == EUROPE { ASIA } else { EUROPE };

    // The same request again, to the other host.
    let sent = probe.get(&tap).await.unwrap();
    let body = String::from_utf8(sent.data.clone()).unwrap();
    let queue = format!("computing-host.{}", second.replace('/', "."));
    probe.publish("", &queue, named(sent.properties.clone(), "create-vm"), &body).await;
    let undone = api.line("second_vm_undone", |_| true).await;
    assert_eq!((&undone["host"], &undone["name"]), (&json!(second), &json!("web")));
    let host = if second == EUROPE { &near } else { &far };
    host.line("vm_deleted", |line| line["name"] == "web").await;
    let held: Vec<_> = listed(&api).await.into_iter().filter(|(_, machines)| !machines.is_empty()).collect();
    assert_eq!(held, [(first, vec!["web".to_owned()])]);
}

async fn a_machine_whose_answer_was_lost_in_a_crash_is_reported_later_and_deleted() {
    let world = World::new(&[EUROPE, ASIA]);
    let api = world.api().await;
    let probe = Probe::connect(&world.uri).await;
    let tap = probe.tap("computing", "create-vm").await;
    world.host(ASIA, "8", "debian").await.stop().await;
    let _near = world.host(EUROPE, "8", "debian").await;
    assert_eq!(create(&api, &vm("web", "debian", 2)).await.0, 201);
    let sent = probe.get(&tap).await.unwrap();
    let id = sent.properties.message_id().as_ref().unwrap().to_string();
    let correlation = sent.properties.correlation_id().as_ref().unwrap().to_string();
    // What the other host would hold if it had received the request first and crashed before answering.
    let store = rusqlite::Connection::open(world.asia.store.path().join("compute-host-1.db")).unwrap();
    let made = json!({"Done": {"vm": {"name": "web"}}}).to_string();
    store.execute("INSERT INTO machines VALUES ('web', 'debian', 2, 0)", []).unwrap();
    store
        .execute("INSERT INTO seen (consumer, message_id, event) VALUES ('commands', ?1, ?2)", [&id, &made])
        .unwrap();
    store
        .execute("INSERT INTO owed VALUES (?1, ?2, 'computing-replies.europe', 0)", [&id, &correlation])
        .unwrap();
    drop(store);

    let far = world.host(ASIA, "8", "debian").await;
    // Any command will do: answers that are owed are sent first.
    listed(&api).await;
    far.line("vm_deleted", |line| line["name"] == "web").await;
    let undone = api.lines("second_vm_undone");
    assert_eq!((undone.len(), &undone[0]["host"]), (1, &json!(ASIA)));
    let kept = (EUROPE.to_owned(), vec!["web".to_owned()]);
    assert_eq!(listed(&api).await, [(ASIA.to_owned(), Vec::new()), kept]);
    assert_eq!(api.lines("second_vm_undone").len(), 1);
}

async fn what_is_no_command_is_answered_with_an_error_or_else_dead_lettered() {
    let world = World::new(&[ASIA]);
    let host = world.host(ASIA, "8", "debian").await;
    let probe = Probe::connect(&world.uri).await;
    let own = "computing-host.asia.compute-host-1";
    let replies = "computing-replies.europe";
    for (key, body, reason) in [
        ("start-vm", "{not json", "not valid JSON"),
        ("start-vm", "{}", "name: Missing data"),
        ("create-vm", r#"{"name": "a", "image": "debian", "cpus": "2"}"#, "cpus: Not a positive integer."),
    ] {
        probe.publish("computing", key, command(body, Some(replies)), body).await;
        let (reply, _) = answer(&probe, replies).await;
        assert_eq!(reply["execution-info"]["status"], "error");
        assert!(reply["execution-info"]["reason"].as_str().unwrap().contains(reason), "{reply}");
    }
    let unknown = || named(command("m-9", Some(replies)), "explode-vm");
    probe.publish("", own, unknown(), "{}").await;
    assert_eq!(answer(&probe, replies).await.0["execution-info"]["reason"], "unknown command `explode-vm`");
    probe.publish("", own, command("m-10", None), "{}").await;
    let dead_lettered = host.line("dead_lettered", |_| true).await;
    assert_eq!(dead_lettered["reason"], format!("unknown command `{own}`"));
    assert_eq!(probe.depth("dead-letters.compute-host").await.0, 1);
    assert!(host.lines("dead_lettered").len() == 1 && host.lines("vm_created").is_empty());
}

async fn anybody_can_be_a_host() {
    let world = World::new(&[EUROPE, FAR]);
    let api = world.api().await;
    let full = world.host(EUROPE, "0", "debian").await;
    let probe = Probe::connect(&world.uri).await;
    let stranger = async || {
        let queue = "computing-host.asia.compute-host-2";
        let taken = until("a command", async || probe.get(queue).await).await;
        let properties = &taken.properties;
        let reply_to = properties.reply_to().as_ref().unwrap().to_string();
        let answer = json!({"execution-info": {"status": "success"}, "response": {"host": FAR}});
        let correlated =
            BasicProperties::default().with_correlation_id(properties.correlation_id().clone().unwrap());
        probe.publish("", &reply_to, correlated, &answer.to_string()).await;
        taken
    };
    // How it shares the shared queue is up to it; what is passed on to it is self-contained.
    let wanted = vm("web", "debian", 2);
    let ((status, reply), taken) = tokio::join!(create(&api, &wanted), stranger());
    assert_eq!((status, &reply["response"]["host"]), (201, &json!(FAR)));
    let headers = taken.properties.headers().as_ref().unwrap().inner();
    let header = |name: &str| headers[name].as_long_string().unwrap().to_string();
    assert_eq!(header("x-command"), "create-vm");
    assert_eq!(header("x-declined"), format!("{EUROPE}=capacity"));
    assert_eq!(serde_json::from_slice::<Value>(&taken.data).unwrap(), vm("web", "debian", 2));
    full.wrote("vm_declined", 1).await;
    let (reply, _) = tokio::join!(post(&api, "/vms/web/start"), stranger());
    assert_eq!((&reply["answered"], &reply["missing"]), (&json!(2), &json!([])));
}

async fn a_host_with_invalid_options_does_not_start() {
    let world = World::new(&[EUROPE]);
    for (name, value) in [
        ("CAPACITY", "many"),
        ("CAPACITY", "-1"),
        ("IMAGES", ","),
        ("COMPUTE_HOSTS", "asia"),
        ("COMPUTE_HOSTS", EUROPE),
    ] {
        let settings = world.asia.settings("compute-host-1", &[(name, value)]);
        let log = Log::with_sink("asia", "compute-host", |_| {});
        let failed = run_logged(ComputeHost, settings, log, CancellationToken::new()).await;
        let failed = format!("{:#}", failed.unwrap_err());
        assert!(failed.contains(&format!("`{name}`")), "{name}={value}: {failed}");
    }
}

pub fn cases() -> Vec<Trial> {
    async_cases! {
        a_machine_is_created_on_exactly_one_of_two_hosts,
        a_host_without_capacity_or_the_image_lets_another_take_it,
        a_machine_that_no_host_can_create_is_an_error_with_the_reason,
        every_other_command_reaches_every_host_and_the_count_is_right,
        a_stopped_host_is_missing_by_name_and_gets_the_command_when_it_is_back_with_its_machines,
        where_no_host_answers_the_request_times_out,
        a_command_that_comes_twice_is_done_once_and_answered_with_the_same_answer,
        a_machine_that_two_hosts_created_for_one_request_is_kept_by_one,
        a_machine_whose_answer_was_lost_in_a_crash_is_reported_later_and_deleted,
        what_is_no_command_is_answered_with_an_error_or_else_dead_lettered,
        anybody_can_be_a_host,
        a_host_with_invalid_options_does_not_start,
    }
}
