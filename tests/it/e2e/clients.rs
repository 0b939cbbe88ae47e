//! Services built on the usual Python clients, aio-pika and pika, among the built-in ones: whichever
//! side of a queue or an exchange they are on, the scenarios pass.

use crate::{stage::Stage, support::Project};

/// Two rounds in one test, because they share the engine and the regions: in the second one, Python's services
/// and ours have changed places, with the queues and messages that the others left.
pub fn python_clients_stand_in_for_ours_on_either_side(project: &Project) {
    let stage = Stage::new(project, include_str!("../../python/systems.yaml"));
    stage.up(str::to_owned);
    prove(&stage, "america", "asia");
    stage.up(swapped);
    prove(&stage, "asia", "america");
}

/// The topology with what is in america and what is in asia swapped.
fn swapped(topology: &str) -> String {
    let moved = topology.replace("name: america", "name: ASIA");
    moved.replace("name: asia", "name: america").replace("name: ASIA", "name: asia")
}

/// Runs the scenarios, in each of which Python must have taken part: caller, host and users in the region
/// `front`, the first one, worker and payment in the region `back`.
fn prove(stage: &Stage<'_>, front: &str, back: &str) {
    stage.prove(&["profile", "rpc", "compute", "checkout"]);
    // Three regions call twice each, and one of them once more with a short timeout.
    assert_eq!(stage.logged(back, "rpc-worker", ["rpc_handled"]), [7]);
    let answers = ["rpc_reply", "rpc_timeout", "late_reply_dropped"];
    assert_eq!(stage.logged(front, "rpc", answers), [2, 1, 1]);
    // Which of the two hosts makes a machine is up to them; both are asked for the rest, by each region.
    let [listed, declined, answered] =
        stage.logged(front, "compute-host", ["vms_listed", "vm_declined", "command_answered"]);
    assert_eq!((listed, declined), (3, 1));
    assert!(answered >= 9, "{answered} answers");
    // One order, of the first region, cannot be paid.
    assert_eq!(stage.logged(back, "payment", ["payment_captured", "payment_failed"]), [3, 1]);
    let learned = stage.logged(front, "profile", ["profile_updated", "stale_skipped"]);
    assert_eq!(learned.iter().sum::<usize>(), 3, "{learned:?}");
}
