//! Plans for the links from one region to another.

use super::{Cause, Change, Plan, blocked, redeclare};
use crate::{
    desired::Broker,
    diagnostic::Diagnostic,
    observed::{Definitions, Owned, Resource},
    topology::RegionName,
};

/// Plans to pause the links from `upstream` to the region of `broker`, which records it: messages for them wait on the
/// upstream.
#[must_use]
pub fn pause(broker: &Broker, upstream: &RegionName, mut owned: Owned) -> Plan {
    let mut plan = Plan::default();
    owned.paused.insert(upstream.to_string());
    let recorded = record(&mut plan, broker, owned);
    if let Some(definition) = broker.upstreams.get(upstream.as_str()) {
        let put = Change::PutUpstream { name: upstream.to_string(), upstream: definition.paused() };
        plan.push(put.at(&broker.region), Cause::Requested, [recorded]);
    }
    plan
}

/// Plans to resume them. The record goes first: without it another `up` finishes what is cut short.
#[must_use]
pub fn resume(broker: &Broker, upstream: &RegionName, mut owned: Owned) -> Plan {
    let mut plan = Plan::default();
    owned.paused.remove(upstream.as_str());
    let recorded = record(&mut plan, broker, owned);
    if let Some(definition) = broker.upstreams.get(upstream.as_str()) {
        let (name, definition) = (upstream.to_string(), definition.clone());
        let put = Change::PutUpstream { name, upstream: definition }.at(&broker.region);
        let put = plan.push(put, Cause::Requested, [recorded]);
        plan.push(run(upstream).at(&broker.region), Cause::Follows, [put]);
    }
    plan
}

/// What keeps them from being resumed: queues that `upstream` holds and that they would declare otherwise, since the
/// topology was changed while they were paused.
#[must_use]
pub fn in_the_way(broker: &Broker, upstream: &Broker, held: &Definitions) -> Vec<Diagnostic> {
    let wanted = broker.upstreams.get(upstream.region.as_str()).into_iter();
    let differing = wanted.flat_map(|wanted| redeclare::differing(held, upstream, &broker.region, wanted));
    let block =
        |(queue, changed)| blocked::declared_otherwise(&upstream.region, queue, &broker.region, &changed);
    differing.map(block).collect()
}

/// Plans to restart the links of these exchanges and queues.
#[must_use]
pub fn restart(
    upstream: &RegionName,
    downstream: &RegionName,
    resources: impl IntoIterator<Item = Resource>,
) -> Plan {
    let mut plan = Plan::default();
    for resource in resources {
        let restart = Change::RestartLink { upstream: upstream.clone(), resource };
        plan.push(restart.at(downstream), Cause::Requested, []);
    }
    let restarted: Vec<usize> = (0..plan.steps.len()).collect();
    plan.push(run(upstream).at(downstream), Cause::Follows, restarted);
    plan
}

/// Waits for the links from there.
fn run(upstream: &RegionName) -> Change {
    Change::AwaitLinks { upstream: Some(upstream.clone()) }
}

fn record(plan: &mut Plan, broker: &Broker, owned: Owned) -> usize {
    let parameter = broker.parameter.clone();
    plan.push(Change::RecordOwnership { parameter, owned }.at(&broker.region), Cause::Requested, [])
}
