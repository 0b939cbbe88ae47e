//! Commands to hosts: one host creates a machine, and every host answers the other commands.

use serde_json::{Value, json};

use crate::proof::Expectation;
use fedctl_contract::{
    compute::{COMMANDS, CREATE_VM, TIMEOUT_MS, VMS_PATH, host_queue, replies},
    log::event,
    program::Program,
};
use fedctl_model::{observed::Resource, status::LinkRef, topology::RegionName};

use super::{Scenario, poison::PoisonTarget, request::Request, run::Run, shop::fresh_id};

pub static SCENARIO: Scenario = Scenario {
    name: "compute",
    claim: "exactly one host creates a machine, and every host answers the commands sent to all",
    starts_at: Program::Compute,
    run: |run| Box::pin(command(run)),
    poison: PoisonTarget {
        exchange: COMMANDS,
        key: CREATE_VM,
        consumer: Program::ComputeHost,
        events: &[event::VM_CREATED],
    },
};

const IMAGE: &str = "debian";
/// How long the caller waits for hosts that do not answer.
const ANSWER_MS: u64 = 2000;

/// From each region: creates a machine on any host, starts, lists and deletes it on all, and asks for one that no host
/// can create.
async fn command(run: &mut Run<'_>) {
    for origin in run.regions_of(Program::Compute) {
        let name = format!("vm-{}-{origin}", fresh_id());
        let machine = json!({"name": name, "image": IMAGE, "cpus": 1});
        let place = (&origin, Program::Compute);
        let Some(created) = run.request(place, &within(VMS_PATH), Request::Post(&machine), 201).await else {
            run.suspect(links(run, &origin)).await;
            return;
        };
        let host = created.body.pointer("/response/host").and_then(Value::as_str).unwrap_or_default();
        run.record(&origin, created.cause, format!("host {host} has created {name}"));
        let events = &[event::VM_CREATED];
        if let Some(expected) = created.expect_from(Program::ComputeHost, events, "created it") {
            run.expect(expected);
        }
        let start = Request::Post(&Value::Null);
        let all_answered = ask_all(run, &origin, &format!("{VMS_PATH}/{name}/start"), start, 1).await
            && ask_all(run, &origin, VMS_PATH, Request::Get, hosts(run)).await
            && ask_all(run, &origin, &format!("{VMS_PATH}/{name}"), Request::Delete, 1).await;
        if !all_answered {
            return;
        }
    }
    if let Some(origin) = run.regions_of(Program::Compute).first() {
        let machine = json!({"name": "none", "image": "nobody-has-it", "cpus": 1});
        let place = (origin, Program::Compute);
        if let Some(refused) = run.request(place, &within(VMS_PATH), Request::Post(&machine), 409).await {
            let reason = refused.body.pointer("/execution-info/reason").cloned().unwrap_or_default();
            run.record(origin, refused.cause, format!("no host accepts it: {reason}"));
        }
    }
    run.await_logs().await;
}

/// Asks all hosts: each must answer, and so many of them with success. Whether they did.
async fn ask_all(
    run: &mut Run<'_>,
    origin: &RegionName,
    path: &str,
    request: Request<'_>,
    successes: usize,
) -> bool {
    let place = (origin, Program::Compute);
    let Some(reply) = run.request(place, &within(path), request, 200).await else { return false };
    let answers = reply.body["answers"].as_array().cloned().unwrap_or_default();
    let succeeded =
        answers.iter().filter(|answer| answer.pointer("/execution-info/status") == Some(&json!("success")));
    let (succeeded, hosts) = (succeeded.count(), hosts(run));
    let summary = format!("{} of {hosts} hosts answered, {succeeded} with success", answers.len());
    run.record(origin, reply.cause, summary.clone());
    if answers.len() != hosts || succeeded != successes {
        let missing =
            format!("after {path} in `{origin}` {summary}; no answer from {}", reply.body["missing"]);
        run.fail(missing, Vec::new());
        run.suspect(links(run, origin)).await;
        return false;
    }
    let events = &[event::COMMAND_ANSWERED];
    if let Some(expected) = reply.expect_from(Program::ComputeHost, events, "answered") {
        run.expect(Expectation { times: hosts, ..expected });
    }
    true
}

/// A path with the time that hosts have to answer.
fn within(path: &str) -> String {
    format!("{path}?{TIMEOUT_MS}={ANSWER_MS}")
}

/// The links over which commands reach hosts and their answers return.
fn links(run: &Run<'_>, origin: &RegionName) -> Vec<LinkRef> {
    let replies = Resource::Queue(replies(origin.as_str()));
    let hosts = run.regions_of(Program::ComputeHost).into_iter();
    let links = hosts.flat_map(|region| {
        let commands = Resource::Queue(host_queue(region.as_str(), Program::ComputeHost.name()));
        [LinkRef::between(origin, &region, commands), LinkRef::between(&region, origin, replies.clone())]
    });
    links.flatten().collect()
}

/// How many hosts the topology has.
fn hosts(run: &Run<'_>) -> usize {
    let services = run.topology().regions.iter().flat_map(|region| &region.services);
    let hosts = services.filter(|service| service.name == Program::ComputeHost.name());
    hosts.map(|service| usize::from(service.replicas)).sum()
}
