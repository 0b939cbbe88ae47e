//! Remote procedure calls: a free worker anywhere answers, and the answer reaches the caller.

use serde_json::{Value, json};

use crate::proof::Expectation;
use fedctl_contract::{
    log::event,
    program::Program,
    rpc::{ANALYZE, PATH, REQUESTS, SLOW, SUCCESS, TIMEOUT, UNKNOWN_PATTERN, replies},
};
use fedctl_model::{observed::Resource, status::LinkRef, topology::RegionName};

use super::{
    Scenario,
    poison::PoisonTarget,
    request::Request,
    run::{Reply, Run},
};

pub static SCENARIO: Scenario = Scenario {
    name: "rpc",
    claim: "calls from every region are answered once, by any worker, and each reply reaches its caller",
    starts_at: Program::Rpc,
    run: |run| Box::pin(call_all(run)),
    poison: PoisonTarget {
        exchange: "",
        key: REQUESTS,
        consumer: Program::RpcWorker,
        events: &[event::RPC_HANDLED],
    },
};

/// How long callers wait for an answer: long enough for one, and for one that comes too late.
const PATIENT_MS: u64 = 2000;
const IMPATIENT_MS: u64 = 50;
const SLOW_MS: u64 = 500;

/// Calls from every region: one that succeeds, one of an unknown command, and one that takes too long.
async fn call_all(run: &mut Run<'_>) {
    for origin in run.regions_of(Program::Rpc) {
        let text = "to be or not to be";
        let request = json!({"cmd": ANALYZE, "data": {"text": text}, "timeout_ms": PATIENT_MS});
        let Some(reply) = call(run, &origin, &request, 200, 1).await else { return };
        check(run, &origin, &reply, "/status", SUCCESS);
        let request = json!({"cmd": "divine", "data": {}, "timeout_ms": PATIENT_MS});
        let Some(reply) = call(run, &origin, &request, 200, 1).await else { return };
        check(run, &origin, &reply, "/error", UNKNOWN_PATTERN);
    }
    run.await_logs().await;
    if let Some(origin) = run.regions_of(Program::Rpc).first() {
        let request = json!({"cmd": SLOW, "data": {"ms": SLOW_MS}, "timeout_ms": IMPATIENT_MS});
        if let Some(reply) = call(run, origin, &request, 504, 0).await {
            check(run, origin, &reply, "/error", TIMEOUT);
            let events = &[event::LATE_REPLY_DROPPED];
            if let Some(dropped) = reply.expect_from(Program::Rpc, events, "dropped the late reply") {
                run.expect(Expectation { region: Some(origin.clone()), ..dropped });
            }
        }
        run.await_logs().await;
    }
}

/// Calls, and expects a worker to handle the call and the caller to have its answer.
async fn call(
    run: &mut Run<'_>,
    origin: &RegionName,
    request: &Value,
    status: u16,
    answers: usize,
) -> Option<Reply> {
    let place = (origin, Program::Rpc);
    let Some(reply) = run.request(place, PATH, Request::Post(request), status).await else {
        run.suspect(links(run, origin)).await;
        return None;
    };
    run.record(origin, reply.cause, format!("was answered {}", reply.body));
    let answered = reply.expect_from(Program::Rpc, &[event::RPC_REPLY], "received the reply")?;
    run.expect(Expectation { times: answers, region: Some(origin.clone()), ..answered });
    let handled = format!("handled {}", request["cmd"]);
    run.expect(reply.expect_from(Program::RpcWorker, &[event::RPC_HANDLED], handled)?);
    Some(reply)
}

/// The links over which a call may reach a worker and its reply return.
fn links(run: &Run<'_>, origin: &RegionName) -> Vec<LinkRef> {
    let replies = Resource::Queue(replies(origin.as_str(), Program::Rpc.name()));
    let workers = run.regions_of(Program::RpcWorker).into_iter();
    let links = workers.flat_map(|region| {
        let there = LinkRef::between(origin, &region, Resource::Queue(REQUESTS.into()));
        [there, LinkRef::between(&region, origin, replies.clone())]
    });
    links.flatten().collect()
}

fn check(run: &mut Run<'_>, origin: &RegionName, reply: &Reply, field: &str, expected: &str) {
    let found = reply.body.pointer(field).and_then(Value::as_str);
    if found != Some(expected) {
        run.fail(format!("the call in `{origin}` was answered {}, not {expected}", reply.body), Vec::new());
    }
}
