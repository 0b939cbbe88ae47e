//! Internal queues that links would declare with other arguments than they have.
//!
//! RabbitMQ keeps a queue as it was declared and refuses the link (`PRECONDITION_FAILED`), which then stays down while
//! messages go on waiting. The queue can only be deleted while no link declares it again, and what is published until the
//! link runs is not kept for its downstream. So it is done only on demand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Cause, Change, Plan, blocked, leftovers::Federated};
use crate::{
    definition::{Difference, Upstream, difference},
    desired::{Broker, Desired, Leftovers, UpstreamId},
    federation::{DECLARED, of_queue},
    observed::{Definitions, Queue, Snapshot},
    probe::is_probe,
    topology::RegionName,
};

/// What comes before the new definition of an upstream.
pub(super) enum Way {
    /// A look at the upstream, which does not answer yet.
    Withheld,
    /// These steps, which delete the old definition and the queues.
    After(Vec<usize>),
}

/// Those upstreams whose definition cannot be put at once.
pub(super) type Ways = BTreeMap<UpstreamId, Way>;

/// Blocks the plan if a queue is in the way of a definition, or deletes both if messages may be discarded.
pub(super) fn make_way(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Snapshot<Definitions>,
    known: &[(&Broker, Option<&Definitions>)],
    awaited: &BTreeMap<RegionName, usize>,
    unknown: &BTreeSet<RegionName>,
) -> Ways {
    let mut ways = Ways::new();
    for &(broker, held) in known {
        for (name, wanted) in &broker.upstreams {
            let upstream = RegionName::new(name);
            let id = (broker.region.clone(), name.clone());
            let found = held.and_then(|held| held.upstreams.get(name));
            let Some(definitions) = observed.answer(&upstream) else {
                let settings = found.map(|found| declared(|key, _| found.settings.get(key)));
                let changed = settings.and_then(|settings| changed(&settings, wanted));
                match changed {
                    Some(_) if unknown.contains(&upstream) => drop(ways.insert(id, Way::Withheld)),
                    Some(changed) if desired.brokers.iter().all(|broker| broker.region != upstream) => {
                        plan.blocked.push(blocked::unseen_queues(&broker.region, &upstream, &changed));
                    }
                    Some(_) | None => {}
                }
                continue;
            };
            let in_the_way = in_the_way(desired, observed, &upstream, definitions, broker, wanted);
            if desired.leftovers != Leftovers::Discard {
                let block = |(queue, changed): (&Queue, Difference)| {
                    blocked::declared_otherwise(&upstream, queue, &broker.region, &changed)
                };
                plan.blocked.extend(in_the_way.into_iter().map(block));
            } else if !in_the_way.is_empty() {
                let held = found.map(|_| broker);
                ways.insert(id, Way::After(delete(plan, &upstream, held, in_the_way, awaited)));
            }
        }
    }
    ways
}

/// Deletes the definition of an upstream where a broker holds it, and then the queues; the steps.
fn delete(
    plan: &mut Plan,
    upstream: &RegionName,
    held: Option<&Broker>,
    queues: Vec<(&Queue, Difference)>,
    awaited: &BTreeMap<RegionName, usize>,
) -> Vec<usize> {
    let mut before: Vec<usize> = awaited.get(upstream).copied().into_iter().collect();
    if let (Some(broker), Some((_, changed))) = (held, queues.first()) {
        let step = Change::DeleteUpstream { name: upstream.to_string() }.at(&broker.region);
        let after = awaited.get(&broker.region).copied();
        before.push(plan.push(step, Cause::Differs(changed.clone()), after));
    }
    let delete = |(queue, changed): (&Queue, Difference)| {
        let step = Change::DeleteQueue { name: queue.name.clone(), messages: queue.messages };
        plan.push(step.at(upstream), Cause::Differs(changed), before.iter().copied())
    };
    queues.into_iter().map(delete).collect()
}

/// The queues on `upstream` that links of `downstream` would declare otherwise, and the first key in which they differ.
fn in_the_way<'q>(
    desired: &Desired,
    observed: &Snapshot<Definitions>,
    upstream: &RegionName,
    definitions: &'q Definitions,
    downstream: &Broker,
    wanted: &Upstream,
) -> Vec<(&'q Queue, Difference)> {
    let Some(broker) = desired.brokers.iter().find(|broker| broker.region == *upstream) else {
        return Vec::new();
    };
    let differing = differing(definitions, broker, &downstream.region, wanted);
    if differing.is_empty() {
        return differing;
    }
    let federated = Federated::of(desired, observed, broker);
    let declared_again = differing.into_iter().filter(|(queue, _)| {
        of_queue(&queue.name).is_some_and(|internal| federated.contains(&internal, &downstream.region))
    });
    declared_again.collect()
}

/// The queues for `downstream`, of those that its upstream holds, that differ from what this definition declares.
pub(super) fn differing<'q>(
    held: &'q Definitions,
    upstream: &Broker,
    downstream: &RegionName,
    wanted: &Upstream,
) -> Vec<(&'q Queue, Difference)> {
    let downstream = upstream.name_of(downstream);
    let differing = held.internal.iter().filter_map(|(name, arguments)| {
        let internal = of_queue(name)?;
        let is_theirs = Some(internal.downstream) == downstream && !is_probe(internal.exchange);
        is_theirs.then_some(())?;
        let changed = changed(&declared(|_, argument| arguments.get(argument)), wanted)?;
        Some((held.queues.iter().find(|queue| queue.name == *name)?, changed))
    });
    differing.collect()
}

/// The first of the keys in which these values differ, found and wanted.
fn changed(found: &Map<String, Value>, wanted: &Upstream) -> Option<Difference> {
    difference(&declared(|key, _| wanted.settings.get(key)), found)
}

/// What a queue is declared with, by the keys of an upstream. A classic queue is one without a type.
fn declared<'v>(value: impl Fn(&str, &str) -> Option<&'v Value>) -> Map<String, Value> {
    let given = DECLARED.into_iter().filter_map(|(key, argument)| Some((key, value(key, argument)?)));
    let given = given.filter(|(_, value)| **value != "classic");
    given.map(|(key, value)| (key.to_owned(), value.clone())).collect()
}
