//! Remote procedure calls: whichever worker is free answers, and the answer comes home.

use serde_json::{Value, json};

use super::request::Request;
use super::watch::{Asked, Watch};
use fedctl_model::{
    observed::Resource,
    proof::{Expectation, Way, way},
    topology::RegionName,
};

pub(super) const RPC: &str = "rpc";
/// The queue of calls.
pub(super) const QUEUE: &str = "python-service-queue";
pub(super) const WORKER: &str = "rpc-worker";
/// So long a caller waits for an answer, and for one that comes too late.
const PATIENT_MS: u64 = 2000;
const IMPATIENT_MS: u64 = 50;
const SLOW_MS: u64 = 500;

/// Calls from every region: one that succeeds, one that nobody knows, and one that takes too long.
pub(super) async fn play(watch: &mut Watch<'_>) {
    for origin in watch.regions_of(RPC) {
        let text = "to be or not to be";
        let call = json!({"cmd": "analyze", "data": {"text": text}, "timeout_ms": PATIENT_MS});
        let Some(answer) = ask(watch, &origin, &call, 200, 1).await else { return };
        check(watch, &origin, &answer, "/status", "success");
        let call = json!({"cmd": "divine", "data": {}, "timeout_ms": PATIENT_MS});
        let Some(answer) = ask(watch, &origin, &call, 200, 1).await else { return };
        check(watch, &origin, &answer, "/error", "unknown_pattern");
    }
    watch.lines().await;
    if let Some(origin) = watch.regions_of(RPC).first() {
        let call = json!({"cmd": "slow", "data": {"ms": SLOW_MS}, "timeout_ms": IMPATIENT_MS});
        if let Some(answer) = ask(watch, origin, &call, 504, 0).await {
            check(watch, origin, &answer, "/error", "timeout");
            let dropped = answer.told_by(RPC, &["late_reply_dropped"], "dropped the late answer");
            if let Some(told) = dropped {
                watch.expect(Expectation { region: Some(origin.clone()), ..told });
            }
        }
        watch.lines().await;
    }
}

/// Calls, and expects a worker to work it off and the caller to have its answer.
async fn ask(
    watch: &mut Watch<'_>,
    origin: &RegionName,
    call: &Value,
    status: u16,
    answers: usize,
) -> Option<Asked> {
    let Some(asked) = watch.ask((origin, RPC), "/rpc", Request::Post(call), status).await else {
        watch.suspect(ways(watch, origin)).await;
        return None;
    };
    watch.note(origin, asked.cause, format!("was answered {}", asked.body));
    let answered = asked.told_by(RPC, &["rpc_reply"], "had the answer")?;
    watch.expect(Expectation { times: answers, region: Some(origin.clone()), ..answered });
    watch.expect(asked.told_by(WORKER, &["rpc_handled"], format!("worked off {}", call["cmd"]))?);
    Some(asked)
}

/// The links by which a call may go to a worker and its answer come back.
fn ways(watch: &Watch<'_>, origin: &RegionName) -> Vec<Way> {
    let replies = Resource::Queue(format!("rpc-replies.{origin}"));
    let homes = watch.regions_of(WORKER).into_iter();
    let ways = homes.flat_map(|home| {
        let there = way(origin, &home, Resource::Queue(QUEUE.into()));
        [there, way(&home, origin, replies.clone())]
    });
    ways.flatten().collect()
}

fn check(watch: &mut Watch<'_>, origin: &RegionName, asked: &Asked, field: &str, expected: &str) {
    let found = asked.body.pointer(field).and_then(Value::as_str);
    if found != Some(expected) {
        watch.fail(format!("the call in `{origin}` was answered {}, not {expected}", asked.body), Vec::new());
    }
}
