//! Messages that a change of an upstream would lose: as long as `resource-cleanup-mode` is not `never`, its links delete
//! their queues when they restart.

use super::blocked;
use crate::{
    definition::Upstream,
    desired::{Broker, Desired, Leftovers},
    diagnostic::Diagnostic,
    federation::of_queue,
    observed::{Definitions, Snapshot},
    topology::RegionName,
};

/// How many messages wait on `upstream` for the links of `downstream`, as far as it answers.
pub(super) fn of(
    desired: &Desired,
    observed: &Snapshot<Definitions>,
    upstream: &RegionName,
    downstream: &RegionName,
) -> u64 {
    let broker = desired.brokers.iter().find(|broker| broker.region == *upstream);
    let named = broker.and_then(|broker| broker.name_of(downstream));
    let held = observed.answer(upstream).into_iter().flat_map(|held| &held.queues);
    let theirs =
        held.filter(|queue| of_queue(&queue.name).is_some_and(|internal| Some(internal.downstream) == named));
    theirs.map(|queue| queue.messages).sum()
}

/// What keeps this upstream from being changed while messages wait.
pub(super) fn obstacles(
    desired: &Desired,
    broker: &Broker,
    upstream: &str,
    found: &Upstream,
    waiting: u64,
) -> Option<Diagnostic> {
    let discards = desired.leftovers == Leftovers::Discard;
    let is_blocked = waiting > 0 && !discards && !found.is_paused();
    is_blocked.then(|| blocked::deletes_backlog(&broker.region, upstream, waiting))
}
