//! The links that the topology requires, against those that the brokers report.

use std::collections::{BTreeMap, BTreeSet};

use super::{Condition, LinkRef, LinkStatus, Reason};
use crate::{
    federation::{internal_exchanges, internal_queue, is_internal},
    observed::{Binding, BrokerHealth, Link, Resource, Snapshot},
    pattern::Pattern,
    topology::{ApplyTo, RegionName, Topology},
};

/// Seconds for which a link may be `starting`; one that takes longer is black-holed.
const STARTING_LIMIT: u64 = 5;

/// The links of every downstream whose broker answered; what another one has cannot be known.
#[must_use]
pub fn links(topology: &Topology, found: &Snapshot<BrokerHealth>) -> Vec<LinkStatus> {
    let policies = Policies::of(topology);
    let mut links = Vec::new();
    let pairs = topology.pairs();
    for region in &topology.regions {
        let Some(downstream) = found.answer(&region.name) else { continue };
        let reported: BTreeMap<(&str, &Resource), &Link> =
            downstream.links.iter().map(|link| ((link.upstream.as_str(), &link.resource), link)).collect();
        let mut expected = BTreeSet::new();
        for pair in pairs.iter().filter(|pair| pair.downstream == region.name) {
            let upstream = found.answer(&pair.upstream).map(Seen::of);
            for resource in policies.matched(downstream) {
                let found = reported.get(&(pair.upstream.as_str(), &resource)).copied();
                expected.insert((pair.upstream.to_string(), resource.clone()));
                let link =
                    LinkRef { upstream: pair.upstream.clone(), downstream: region.name.clone(), resource };
                links.push(link_status(link, found, downstream, upstream.as_ref()));
            }
        }
        let unexpected = downstream
            .links
            .iter()
            .filter(|link| !expected.contains(&(link.upstream.clone(), link.resource.clone())));
        links.extend(unexpected.map(|link| unexpected_link(&region.name, link)));
    }
    links
}

/// What an upstream holds for its downstreams.
struct Seen<'a> {
    /// Messages by queue.
    messages: BTreeMap<&'a str, u64>,
    /// Bindings: exchange, receiving exchange or queue, routing key.
    bindings: BTreeSet<(&'a str, &'a str, &'a str)>,
}

impl<'a> Seen<'a> {
    fn of(health: &'a BrokerHealth) -> Self {
        let binding = |binding: &'a Binding| {
            (binding.source.as_str(), binding.destination.as_str(), binding.routing_key.as_str())
        };
        Self {
            messages: health.queues.iter().map(|queue| (queue.name.as_str(), queue.messages)).collect(),
            bindings: health.bindings.iter().map(binding).collect(),
        }
    }

    fn waiting(&self, link: &LinkRef) -> Option<u64> {
        let queue = match &link.resource {
            Resource::Exchange(name) => internal_queue(name, &link.downstream),
            Resource::Queue(name) => name.clone(),
        };
        self.messages.get(queue.as_str()).copied()
    }
}

fn link_status(
    link: LinkRef,
    found: Option<&Link>,
    downstream: &BrokerHealth,
    upstream: Option<&Seen<'_>>,
) -> LinkStatus {
    let reported = found.map_or(Condition::Failing(Reason::NotStarted), condition);
    let missing = upstream
        .filter(|_| reported == Condition::Running)
        .and_then(|upstream| binding_not_propagated(&link, downstream, upstream));
    LinkStatus {
        waiting: upstream.and_then(|upstream| upstream.waiting(&link)),
        condition: missing.map_or(reported, Condition::Failing),
        age_seconds: found.and_then(|link| link.age),
        link,
    }
}

fn condition(link: &Link) -> Condition {
    match (link.status.as_str(), link.age) {
        ("running", _) => Condition::Running,
        ("starting", Some(seconds)) if seconds > STARTING_LIMIT => {
            Condition::Failing(Reason::StartingTooLong { seconds })
        }
        ("starting", _) => Condition::Connecting,
        (status, _) => Condition::Failing(Reason::of(status, link.error.as_deref())),
    }
}

/// A link of an exchange carries only what the downstream has bound, and only once the upstream knows
/// of it, whatever the broker reports.
fn binding_not_propagated(link: &LinkRef, downstream: &BrokerHealth, upstream: &Seen<'_>) -> Option<Reason> {
    let Resource::Exchange(exchange) = &link.resource else { return None };
    let internal = internal_exchanges(&internal_queue(exchange, &link.downstream));
    let arrived = |key: &str| {
        internal
            .iter()
            .any(|internal| upstream.bindings.contains(&(exchange.as_str(), internal.as_str(), key)))
    };
    let own = downstream
        .bindings
        .iter()
        .filter(|binding| binding.source == *exchange && !is_internal(&binding.destination));
    own.map(|binding| &binding.routing_key)
        .find(|key| !arrived(key))
        .map(|key| Reason::BindingNotPropagated { routing_key: key.clone() })
}

fn unexpected_link(downstream: &RegionName, link: &Link) -> LinkStatus {
    let upstream = RegionName::new(&link.upstream);
    LinkStatus {
        link: LinkRef { upstream, downstream: downstream.clone(), resource: link.resource.clone() },
        condition: Condition::Failing(Reason::NotInTopology),
        age_seconds: link.age,
        waiting: None,
    }
}

/// The topology's policies with their patterns compiled. One that does not compile was found on reading.
struct Policies(Vec<(ApplyTo, Pattern)>);

impl Policies {
    fn of(topology: &Topology) -> Self {
        let compiled = topology
            .federation
            .policies
            .iter()
            .filter_map(|policy| Some((policy.apply_to, Pattern::new(&policy.pattern).ok()?)));
        Self(compiled.collect())
    }

    /// The exchanges and queues of a broker that should be federated. The default exchange never is, nor
    /// are the internal ones of links.
    fn matched(&self, health: &BrokerHealth) -> BTreeSet<Resource> {
        let applies = |apply_to: ApplyTo, name: &str| {
            !name.is_empty()
                && !is_internal(name)
                && self.0.iter().any(|(to, pattern)| *to == apply_to && pattern.matches(name))
        };
        let exchanges = health.exchanges.iter().filter(|name| applies(ApplyTo::Exchanges, name)).cloned();
        let queues =
            health.queues.iter().map(|queue| &queue.name).filter(|name| applies(ApplyTo::Queues, name));
        exchanges.map(Resource::Exchange).chain(queues.cloned().map(Resource::Queue)).collect()
    }
}
