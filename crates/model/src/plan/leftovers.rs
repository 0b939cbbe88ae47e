//! What links left on their upstreams: internal exchanges and queues of a region or exchange that is federated no more.
//! They stay by design, so that no change of a link loses messages, and fill for ever once nothing consumes them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Change, Plan, blocked};
use crate::{
    desired::{Broker, Desired, Leftovers},
    diagnostic::Diagnostic,
    federation::{Internal, of_exchange, of_queue},
    names::{BROKER, container},
    observed::{Definitions, Queue, Snapshot},
    pattern::Pattern,
    probe::is_probe,
    topology::{ApplyTo, RegionName},
};

/// The steps that links on their downstream depend on: what is theirs goes after them.
pub(super) struct Before<'a> {
    /// The steps that remove containers, by name.
    pub removed: &'a BTreeMap<String, usize>,
    /// The steps that change policies, by region.
    pub policies: &'a BTreeMap<RegionName, Vec<usize>>,
    /// The regions of which it is not known what they federate.
    pub unknown: &'a BTreeSet<RegionName>,
}

/// What becomes of what links left on a broker.
#[derive(Default)]
pub(super) struct Left {
    /// The steps that remove it.
    pub removed: Vec<usize>,
    /// The downstreams of queues that stay, so that a later plan knows whose they are.
    pub kept: BTreeSet<String>,
}

/// Removes what links left on a broker, unless messages wait in it.
pub(super) fn remove(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Snapshot<Definitions>,
    broker: &Broker,
    definitions: &Definitions,
    await_step: Option<usize>,
    before: &Before<'_>,
) -> Left {
    let recorded = definitions.owned.as_ref();
    let is_ours = |downstream: &str| {
        broker.downstreams.contains_key(downstream)
            || recorded.is_some_and(|owned| owned.downstreams.contains(downstream))
    };
    let federated = Federated::of(desired, observed, broker);
    let is_left = |internal: &Internal<'_>| {
        let downstream = region(broker, internal);
        let is_chosen = desired.brokers.iter().any(|broker| broker.region == downstream);
        // the links of a downstream that this plan does not touch go on by the policies that it has
        let goes_on = broker.downstreams.contains_key(internal.downstream) && !is_chosen;
        let is_known = !goes_on && !before.unknown.contains(&downstream);
        let is_federated =
            federated.contains(internal, &downstream) && !is_of_dead_probe(internal, &downstream, observed);
        is_known && is_ours(internal.downstream) && !is_federated
    };
    let needs = |internal: &Internal<'_>| -> Vec<usize> {
        let downstream = region(broker, internal);
        let gone = before.removed.get(&container(&desired.project, &downstream, BROKER)).copied();
        let policies = before.policies.get(&downstream).into_iter().flatten().copied();
        policies.chain(gone).chain(await_step).collect()
    };
    let mut left = Left::default();
    let mut unbound: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for name in &definitions.exchanges {
        let Some(internal) = of_exchange(name).filter(&is_left) else { continue };
        let step = Change::DeleteExchange { name: name.clone() }.at(&broker.region);
        let step = plan.push(step, Cause::NotFederated, needs(&internal));
        unbound.entry((internal.exchange, internal.downstream)).or_default().push(step);
        left.removed.push(step);
    }
    for queue in &definitions.queues {
        let Some(internal) = of_queue(&queue.name).filter(&is_left) else { continue };
        let exchanges = unbound.get(&(internal.exchange, internal.downstream));
        let needs = needs(&internal).into_iter().chain(exchanges.into_iter().flatten().copied());
        // one that was kept once is bound no more, and stays as it is
        let still_fills = exchanges.is_some();
        // nobody misses a probe's messages
        let leftovers = if is_probe(internal.exchange) { Leftovers::Discard } else { desired.leftovers };
        let change = match (queue.messages, leftovers) {
            (0, _) => Change::DeleteEmptyQueue { name: queue.name.clone() },
            (messages, Leftovers::Discard) => Change::DeleteQueue { name: queue.name.clone(), messages },
            (_, Leftovers::Keep | Leftovers::Refuse) => {
                if still_fills && leftovers == Leftovers::Refuse {
                    plan.blocked.push(backlog(broker, queue, &internal));
                }
                left.kept.insert(internal.downstream.to_owned());
                continue;
            }
        };
        left.removed.push(plan.push(change.at(&broker.region), Cause::NotFederated, needs));
    }
    left
}

/// The region that something is kept for. One that is no longer in the topology was called like its cluster, if fedctl
/// started its broker.
fn region(broker: &Broker, internal: &Internal<'_>) -> RegionName {
    let known = broker.downstreams.get(internal.downstream);
    known.cloned().unwrap_or_else(|| RegionName::new(internal.downstream))
}

/// Whether it was made for an exchange of a probe that its downstream no longer has: the probe was killed.
fn is_of_dead_probe(
    internal: &Internal<'_>,
    downstream: &RegionName,
    observed: &Snapshot<Definitions>,
) -> bool {
    let downstream = observed.answer(downstream);
    is_probe(internal.exchange)
        && downstream.is_some_and(|held| held.exchanges.iter().all(|name| name != internal.exchange))
}

fn backlog(broker: &Broker, queue: &Queue, internal: &Internal<'_>) -> Diagnostic {
    let cause = if broker.downstreams.contains_key(internal.downstream) {
        format!("though no policy federates `{}` any more", internal.exchange)
    } else {
        "which is no longer in the topology".to_owned()
    };
    blocked::backlog(&broker.region, queue, internal.downstream, &cause)
}

/// What the downstreams of a broker federate.
pub(super) struct Federated<'a> {
    downstreams: BTreeSet<&'a str>,
    patterns: Vec<Pattern>,
    /// Patterns of policies of others that federate, by the region that has them.
    foreign: BTreeMap<&'a str, Vec<Pattern>>,
}

impl<'a> Federated<'a> {
    pub fn of(desired: &'a Desired, observed: &'a Snapshot<Definitions>, broker: &'a Broker) -> Self {
        let applies = |apply_to: &str| apply_to == ApplyTo::Exchanges.as_str() || apply_to == "all";
        let own = desired.brokers.iter().flat_map(|broker| broker.policies.values());
        let own = own.filter(|policy| applies(&policy.apply_to)).map(|policy| policy.pattern.as_str());
        let own: BTreeSet<&str> = own.collect();
        let foreign = desired.brokers.iter().filter_map(|broker| {
            let definitions = observed.answer(&broker.region)?;
            let ours = |name: &String| {
                broker.policies.contains_key(name)
                    || definitions.owned.as_ref().is_some_and(|owned| owned.policies.contains(name))
            };
            let foreign = definitions.policies.iter().filter(|(name, policy)| {
                !ours(name)
                    && applies(&policy.apply_to)
                    && policy.definition.keys().any(|key| key.starts_with("federation-upstream"))
            });
            let patterns = foreign.filter_map(|(_, policy)| Pattern::new(&policy.pattern).ok());
            Some((broker.region.as_str(), patterns.collect()))
        });
        Self {
            downstreams: broker.downstreams.keys().map(String::as_str).collect(),
            patterns: own.into_iter().filter_map(|pattern| Pattern::new(pattern).ok()).collect(),
            foreign: foreign.collect(),
        }
    }

    pub fn contains(&self, internal: &Internal<'_>, downstream: &RegionName) -> bool {
        let foreign = self.foreign.get(downstream.as_str()).into_iter().flatten();
        self.downstreams.contains(internal.downstream)
            && self.patterns.iter().chain(foreign).any(|pattern| pattern.matches(internal.exchange))
    }
}
