//! The links that the topology calls for, against those that the brokers report.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::{LinkState, LinkStatus, error};
use crate::{
    desired::internal_queue,
    observed::{Binding, BrokerHealth, Link, Resource, Snapshot},
    topology::{ApplyTo, Pair, RegionName, Topology},
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
                let link = reported.get(&(pair.upstream.as_str(), &resource)).copied();
                expected.insert((pair.upstream.to_string(), resource.clone()));
                let mut link = link_status(pair, resource, link, upstream.as_ref());
                if let Some(upstream) = upstream.as_ref().filter(|_| link.state == LinkState::Running) {
                    link.require_bindings(downstream, upstream);
                }
                links.push(link);
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

    fn waiting(&self, resource: &Resource, downstream: &RegionName) -> Option<u64> {
        let queue = match resource {
            Resource::Exchange(name) => internal_queue(name, downstream),
            Resource::Queue(name) => name.clone(),
        };
        self.messages.get(queue.as_str()).copied()
    }
}

impl LinkStatus {
    /// Whether it may stay as it is for ever. Its broker calls it running though bindings have not crossed it: so
    /// it is where the exchange was deleted and declared anew on the upstream. Or the broker has not started it. Or
    /// the broker has not told it of its new password.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        let deaf = self.state == LinkState::Starting && self.error.is_some();
        deaf || self.state == LinkState::Missing || self.is_refused()
    }

    /// Whether the upstream refuses its user or password.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.error.as_deref() == Some(error::REFUSED)
    }

    /// A link of an exchange carries only what the downstream has bound, and only once the upstream knows
    /// of it: until then it counts as starting, whatever the broker says.
    fn require_bindings(&mut self, downstream: &BrokerHealth, upstream: &Seen<'_>) {
        let Resource::Exchange(exchange) = &self.resource else { return };
        let queue = internal_queue(exchange, &self.downstream);
        let internal = [format!("{queue} A"), format!("{queue} B")];
        let arrived = |key: &str| {
            internal
                .iter()
                .any(|internal| upstream.bindings.contains(&(exchange.as_str(), internal.as_str(), key)))
        };
        let own = downstream.bindings.iter().filter(|binding| {
            binding.source == *exchange && !binding.destination.starts_with("federation: ")
        });
        let missing = own.map(|binding| binding.routing_key.as_str()).find(|key| !arrived(key));
        if let Some(key) = missing {
            self.state = LinkState::Starting;
            self.error =
                Some(format!("the binding `{key}` has not reached the upstream: such messages do not cross"));
        }
    }
}

fn link_status(
    pair: &Pair,
    resource: Resource,
    found: Option<&Link>,
    upstream: Option<&Seen<'_>>,
) -> LinkStatus {
    let (state, error) = match found {
        None => {
            (LinkState::Missing, Some("the broker has no such link: is its policy or upstream gone?".into()))
        }
        Some(link) => state(link),
    };
    LinkStatus {
        upstream: pair.upstream.clone(),
        downstream: pair.downstream.clone(),
        waiting: upstream.and_then(|upstream| upstream.waiting(&resource, &pair.downstream)),
        resource,
        state,
        error,
        age_seconds: found.and_then(|link| link.age),
    }
}

fn state(link: &Link) -> (LinkState, Option<String>) {
    match link.status.as_str() {
        "running" => (LinkState::Running, None),
        "starting" if link.age.is_some_and(|age| age > STARTING_LIMIT) => {
            let age = link.age.unwrap_or_default();
            (LinkState::Down, Some(format!("has been connecting for {age} s: the upstream does not answer")))
        }
        "starting" => (LinkState::Starting, None),
        status => (LinkState::Down, Some(error::plain(status, link.error.as_deref()))),
    }
}

fn unexpected_link(downstream: &RegionName, link: &Link) -> LinkStatus {
    LinkStatus {
        upstream: RegionName::new(&link.upstream),
        downstream: downstream.clone(),
        resource: link.resource.clone(),
        state: LinkState::Unexpected,
        error: Some("the topology does not call for this link".into()),
        age_seconds: link.age,
        waiting: None,
    }
}

/// The topology's policies with their patterns compiled.
struct Policies(Vec<(ApplyTo, Regex)>);

impl Policies {
    fn of(topology: &Topology) -> Self {
        let compiled = topology
            .federation
            .policies
            .iter()
            .filter_map(|policy| Some((policy.apply_to, Regex::new(&policy.pattern).ok()?)));
        Self(compiled.collect())
    }

    /// The exchanges and queues of a broker that should be federated. The default exchange never is, nor
    /// are the internal ones of links.
    fn matched(&self, health: &BrokerHealth) -> BTreeSet<Resource> {
        let applies = |apply_to: ApplyTo, name: &str| {
            !name.is_empty()
                && !name.starts_with("federation: ")
                && self.0.iter().any(|(to, pattern)| *to == apply_to && pattern.is_match(name))
        };
        let exchanges = health.exchanges.iter().filter(|name| applies(ApplyTo::Exchanges, name)).cloned();
        let queues =
            health.queues.iter().map(|queue| &queue.name).filter(|name| applies(ApplyTo::Queues, name));
        exchanges.map(Resource::Exchange).chain(queues.cloned().map(Resource::Queue)).collect()
    }
}
