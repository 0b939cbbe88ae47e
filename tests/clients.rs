//! Programs by the field's usual Python clients, aio-pika and pika, among fedctl's own services: whichever
//! side of a queue or an exchange they are on, the scenarios pass.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise and say so"
)]

#[path = "python/stage.rs"]
mod stage;
#[allow(dead_code, reason = "the engine's tests use the rest")]
mod support;

use stage::Stage;

/// Two rounds in one test, because they share the engine and the regions: in the second one, Python's services
/// and ours have changed places, with the queues and messages that the others left.
#[test]
fn python_clients_stand_in_for_ours_on_either_side() {
    let stage = Stage::new(include_str!("python/systems.yaml"));
    stage.up(str::to_owned);
    prove(&stage, "america", "asia");
    stage.up(|topology| {
        let swapped = topology.replace("name: america", "name: ASIA");
        swapped.replace("name: asia", "name: america").replace("name: ASIA", "name: asia")
    });
    prove(&stage, "asia", "america");
}

/// Plays the scenarios, in each of which Python must have had its part: caller, host and users in the region
/// `front`, which is the first one, worker and payment in the region `back`.
fn prove(stage: &Stage, front: &str, back: &str) {
    stage.prove(&["profile", "rpc", "compute", "checkout"]);
    // Three regions call twice each, and one of them once more with no patience.
    assert_eq!(stage.said(back, "rpc-worker", ["rpc_handled"]), [7]);
    let answers = ["rpc_reply", "rpc_timeout", "late_reply_dropped"];
    assert_eq!(stage.said(front, "rpc", answers), [2, 1, 1]);
    // Which of the two hosts makes a machine is up to them; both are asked for the rest, by each region.
    let [listed, declined, answered] =
        stage.said(front, "compute-host", ["vms_listed", "vm_declined", "command_answered"]);
    assert_eq!((listed, declined), (3, 1));
    assert!(answered >= 9, "{answered} answers");
    assert_eq!(stage.said(back, "payment", ["payment_captured", "payment_failed"]), [3, 0]);
    let learned = stage.said(front, "profile", ["profile_updated", "stale_skipped"]);
    assert_eq!(learned.iter().sum::<usize>(), 3, "{learned:?}");
}
