//! Commands to hosts: one host creates a machine, all of them are asked for the rest.

use serde_json::{Value, json};

use super::{request::Request, shop::fresh_id, watch::Watch};
use fedctl_model::{
    observed::Resource,
    proof::{Expectation, Way, way},
    topology::RegionName,
};

pub(super) const COMPUTE: &str = "compute";
/// The exchange of commands.
pub(super) const EXCHANGE: &str = "computing";
pub(super) const HOST: &str = fedctl_model::topology::COMPUTE_HOST;
const IMAGE: &str = "debian";
/// So long the caller waits for hosts that do not answer.
const ANSWER_MS: u64 = 2000;

/// From each region: creates a machine somewhere, starts, lists and deletes it everywhere, and asks for one that
/// no host can make.
pub(super) async fn play(watch: &mut Watch<'_>) {
    for origin in watch.regions_of(COMPUTE) {
        let name = format!("vm-{}-{origin}", fresh_id());
        let machine = json!({"name": name, "image": IMAGE, "cpus": 1});
        let Some(created) =
            watch.ask((&origin, COMPUTE), &within("/vms"), Request::Post(&machine), 201).await
        else {
            watch.suspect(ways(watch, &origin)).await;
            return;
        };
        let host = created.body.pointer("/response/host").and_then(Value::as_str).unwrap_or_default();
        watch.note(&origin, created.cause, format!("host {host} has created {name}"));
        if let Some(told) = created.told_by(HOST, &["vm_created"], "created it") {
            watch.expect(told);
        }
        let started = Request::Post(&Value::Null);
        let all_answered = everywhere(watch, &origin, &format!("/vms/{name}/start"), started, 1).await
            && everywhere(watch, &origin, "/vms", Request::Get, hosts(watch)).await
            && everywhere(watch, &origin, &format!("/vms/{name}"), Request::Delete, 1).await;
        if !all_answered {
            return;
        }
    }
    if let Some(origin) = watch.regions_of(COMPUTE).first() {
        let machine = json!({"name": "none", "image": "nobody-has-it", "cpus": 1});
        if let Some(refused) =
            watch.ask((origin, COMPUTE), &within("/vms"), Request::Post(&machine), 409).await
        {
            let reason = refused.body.pointer("/execution-info/reason").cloned().unwrap_or_default();
            watch.note(origin, refused.cause, format!("no host takes it: {reason}"));
        }
    }
    watch.lines().await;
}

/// Asks all hosts: each must answer, and so many of them with success. Whether it was so.
async fn everywhere(
    watch: &mut Watch<'_>,
    origin: &RegionName,
    path: &str,
    request: Request<'_>,
    successes: usize,
) -> bool {
    let Some(asked) = watch.ask((origin, COMPUTE), &within(path), request, 200).await else { return false };
    let answers = asked.body["answers"].as_array().cloned().unwrap_or_default();
    let succeeded =
        answers.iter().filter(|answer| answer.pointer("/execution-info/status") == Some(&json!("success")));
    let (succeeded, hosts) = (succeeded.count(), hosts(watch));
    let told = format!("{} of {hosts} hosts answered, {succeeded} with success", answers.len());
    watch.note(origin, asked.cause, told.clone());
    if answers.len() != hosts || succeeded != successes {
        let missing = format!("after {path} in `{origin}` {told}; no answer from {}", asked.body["missing"]);
        watch.fail(missing, Vec::new());
        watch.suspect(ways(watch, origin)).await;
        return false;
    }
    if let Some(told) = asked.told_by(HOST, &["command_answered"], "answered") {
        watch.expect(Expectation { times: hosts, ..told });
    }
    true
}

/// A path with the time that hosts have to answer.
fn within(path: &str) -> String {
    format!("{path}?timeout_ms={ANSWER_MS}")
}

/// The links by which commands go to hosts and their answers come back.
fn ways(watch: &Watch<'_>, origin: &RegionName) -> Vec<Way> {
    let replies = Resource::Queue(format!("computing-replies.{origin}"));
    let homes = watch.regions_of(HOST).into_iter();
    let ways = homes.flat_map(|home| {
        let commands = Resource::Queue(format!("computing-host.{home}.{HOST}"));
        [way(origin, &home, commands), way(&home, origin, replies.clone())]
    });
    ways.flatten().collect()
}

/// How many hosts the topology has.
fn hosts(watch: &Watch<'_>) -> usize {
    let services = watch.topology().regions.iter().flat_map(|region| &region.services);
    services.filter(|service| service.name == HOST).map(|service| usize::from(service.replicas)).sum()
}
