//! The links that the topology requires, against what the brokers at both ends and the engine show.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Activity, Condition, LinkRef, LinkStatus, Reason,
    expected::{Expected, declares},
};
use crate::{
    federation::{internal_exchanges, internal_queue, is_internal},
    names::{BROKER, ITSELF, container, is_link_user, wan},
    observed::{
        BrokerHealth, Consumer, ContainerState, Federated, Link, LinkDefinitions, Observed, Plugin, Queue,
        Reported, Resource, Snapshot,
    },
    pattern::Pattern,
    probe::is_probe,
    site::Unavailable,
    topology::{ApplyTo, Region, RegionName, Topology},
};

/// Seconds for which a link may be `starting`; one that takes longer is black-holed.
const STARTING_LIMIT: u64 = 5;
/// Seconds within which brokers have surely counted a new consumer: they do so every five.
const COUNTED_WITHIN: u64 = 15;

/// Every link that the topology requires, and those that brokers have besides. How many are required does not depend
/// on who answers: `remembered` is what was federated in each region before.
#[must_use]
pub fn links(topology: &Topology, found: &Snapshot<BrokerHealth>, remembered: &Federated) -> Vec<LinkStatus> {
    let expected = Expected::of(topology, found, remembered);
    let ends: BTreeMap<&RegionName, End<'_>> =
        topology.regions.iter().map(|region| (&region.name, End::of(topology, region, found))).collect();
    let neighbours = topology.neighbours();
    let mut links = Vec::new();
    for region in &topology.regions {
        let downstream = &ends[&region.name];
        let resources = expected.of_region(&region.name);
        let mut required = BTreeSet::new();
        for upstream in &neighbours[&region.name].upstreams {
            for resource in resources.iter().cloned() {
                required.insert((upstream.as_str(), resource.clone()));
                let link = LinkRef { upstream: upstream.clone(), downstream: region.name.clone(), resource };
                links.push(link_status(topology, link, &ends[upstream], downstream));
            }
        }
        let Some(health) = downstream.health else { continue };
        let streams: BTreeSet<&str> = expected.matched_streams(health).collect();
        let unexpected = downstream.reported.values().filter(|link| {
            !required.contains(&(link.upstream.as_str(), link.resource.clone()))
                && !streams.contains(link.resource.name())
                && !is_probe(link.resource.name())
        });
        links.extend(unexpected.map(|link| unexpected_link(&region.name, link)));
    }
    links
}

/// The regions whose brokers have to be asked what they hold before it can be said why a link is missing.
#[must_use]
pub fn unexplained(links: &[LinkStatus]) -> BTreeSet<RegionName> {
    let missing = links.iter().filter(|link| link.condition == Condition::Failing(Reason::NotStarted));
    missing.map(|found| found.link.downstream.clone()).collect()
}

/// A region as an end of links.
struct End<'a> {
    region: &'a Region,
    project: &'a Topology,
    observed: Option<&'a Observed<BrokerHealth>>,
    health: Option<&'a BrokerHealth>,
    /// The network between the regions, if the region's broker is not attached to it.
    off_network: Option<String>,
    /// The address of its broker on that network, if known.
    address: Option<&'a str>,
    /// The links that its broker reports, by upstream and resource.
    reported: BTreeMap<(&'a str, &'a Resource), &'a Link>,
    queues: BTreeMap<&'a str, &'a Queue>,
    /// The consumers that its broker has counted, if it counts them, by queue.
    consumers: Option<BTreeMap<&'a str, Vec<&'a Consumer>>>,
    /// Bindings: exchange, receiving exchange or queue, routing key.
    bindings: BTreeSet<(&'a str, &'a str, &'a str)>,
}

impl<'a> End<'a> {
    fn of(topology: &'a Topology, region: &'a Region, found: &'a Snapshot<BrokerHealth>) -> Self {
        let observed = found.brokers.get(&region.name);
        let health = observed.and_then(|observed| observed.answer.as_ref().ok());
        let network = wan(&topology.name);
        let broker = found.engine.container(&container(&topology.name, &region.name, BROKER));
        let broker = broker.filter(|broker| broker.state == ContainerState::Running);
        let address = broker.and_then(|broker| broker.networks.get(&network));
        let off_network = broker.is_some() && address.is_none();
        let reported = health.and_then(|health| health.links.as_ref().ok()).into_iter().flatten();
        let queues = health.into_iter().flat_map(|health| &health.queues);
        let bindings = health.into_iter().flat_map(|health| &health.bindings);
        Self {
            region,
            project: topology,
            observed,
            health,
            off_network: off_network.then_some(network),
            address: address.map(String::as_str).filter(|address| !address.is_empty()),
            reported: reported.map(|link| ((link.upstream.as_str(), &link.resource), link)).collect(),
            queues: queues.map(|queue| (queue.name.as_str(), queue)).collect(),
            consumers: health.and_then(|health| health.consumers.as_deref()).map(by_queue),
            bindings: bindings
                .map(|found| (found.source.as_str(), found.destination.as_str(), found.routing_key.as_str()))
                .collect(),
        }
    }

    fn unavailable(&self) -> Option<Unavailable> {
        match self.observed.map(|observed| &observed.answer) {
            Some(Ok(_)) => None,
            Some(Err(unavailable)) => Some(unavailable.clone()),
            None => Some(Unavailable::Missing),
        }
    }

    /// The consumers of one of its queues, as far as it has counted them.
    fn consumers_of(&self, queue: &str) -> &[&'a Consumer] {
        self.consumers.as_ref().and_then(|consumers| consumers.get(queue)).map_or(&[], Vec::as_slice)
    }

    /// The bindings of one of its exchanges.
    fn bindings_of<'s>(&'s self, exchange: &'s str) -> impl Iterator<Item = &'s (&'s str, &'s str, &'s str)> {
        let all = self.bindings.range((exchange, "", "")..);
        all.take_while(move |(source, ..)| *source == exchange)
    }

    /// Its queue in which an exchange's messages wait for a downstream.
    fn internal_queue(&self, exchange: &str, downstream: &End<'_>) -> String {
        internal_queue(exchange, &downstream.region.as_downstream_of(self.region))
    }

    /// The user as which a downstream's links connect to it.
    fn link_user(&self, downstream: &End<'_>) -> String {
        self.project.link_user(self.region, &downstream.region.name)
    }

    /// Whether links connect to it as this user.
    fn is_link_user(&self, user: &str) -> bool {
        is_link_user(user) || self.region.shared_link_user().is_some_and(|shared| shared.name == user)
    }

    /// Whether it lacks the plugin that links are.
    fn cannot_federate(&self) -> bool {
        self.health.is_some_and(|health| health.links == Err(Plugin::Federation))
    }
}

fn by_queue(consumers: &[Consumer]) -> BTreeMap<&str, Vec<&Consumer>> {
    let mut by_queue: BTreeMap<&str, Vec<&Consumer>> = BTreeMap::new();
    for consumer in consumers {
        by_queue.entry(&consumer.queue).or_default().push(consumer);
    }
    by_queue
}

fn link_status(topology: &Topology, link: LinkRef, upstream: &End<'_>, downstream: &End<'_>) -> LinkStatus {
    let reported = downstream.reported.get(&(link.upstream.as_str(), &link.resource)).copied();
    let said = reported.map(condition);
    let condition = obstacle(&link, upstream, downstream)
        .or_else(|| said.clone())
        .unwrap_or_else(|| unlisted(topology, &link, upstream, downstream));
    let condition = if condition == Condition::Running {
        belied(&link, reported.and_then(|link| link.age), upstream, downstream)
            .map_or(Condition::Running, Condition::Failing)
    } else {
        condition
    };
    let queue = match &link.resource {
        Resource::Exchange(name) => upstream.internal_queue(name, downstream),
        Resource::Queue(name) => name.clone(),
    };
    let waiting = upstream.queues.get(queue.as_str()).copied();
    let activity = (condition == Condition::Running).then(|| activity(&link, waiting, downstream)).flatten();
    LinkStatus {
        age_seconds: reported.filter(|_| said.as_ref() == Some(&condition)).and_then(age),
        condition,
        activity,
        last_known: None,
        waiting: waiting.map(|queue| queue.messages),
        growth: None,
        lag_seconds: None,
        link,
    }
}

/// What keeps the link from working, whatever its broker reports of it: that may be half a minute old.
fn obstacle(link: &LinkRef, upstream: &End<'_>, downstream: &End<'_>) -> Option<Condition> {
    let failing = |reason| Some(Condition::Failing(reason));
    for (end, region) in [(downstream, &link.downstream), (upstream, &link.upstream)] {
        if let Some(network) = &end.off_network {
            return failing(Reason::OffNetwork { region: region.clone(), network: network.clone() });
        }
    }
    match downstream.unavailable() {
        None => {}
        Some(unavailable @ (Unavailable::Missing | Unavailable::Stopped(_))) => {
            return failing(Reason::DownstreamUnavailable(unavailable));
        }
        Some(unavailable) => return Some(Condition::Unknown(unavailable)),
    }
    match downstream.health.map(|health| &health.links) {
        Some(Err(Plugin::Federation)) => {
            return failing(Reason::PluginDisabled { region: link.downstream.clone() });
        }
        Some(Err(plugin)) => return Some(Condition::Unknown(Unavailable::PluginDisabled(*plugin))),
        Some(Ok(_)) | None => {}
    }
    if let Some(unavailable) = upstream.unavailable().filter(Unavailable::is_down) {
        return failing(Reason::UpstreamUnavailable(unavailable));
    }
    // a queue's link is a plain consumer on the upstream and needs no plugin there
    if upstream.cannot_federate() && matches!(link.resource, Resource::Exchange(_)) {
        return failing(Reason::PluginDisabled { region: link.upstream.clone() });
    }
    None
}

fn condition(link: &Link) -> Condition {
    if link.is_paused {
        return Condition::Paused;
    }
    match (link.status.as_str(), link.age) {
        ("running", _) => Condition::Running,
        ("starting", Some(seconds)) if seconds > STARTING_LIMIT => {
            Condition::Failing(Reason::StartingTooLong { seconds })
        }
        ("starting", _) => Condition::Connecting,
        (status, _) => Condition::Failing(Reason::of(status, link.error.as_deref())),
    }
}

/// How old the broker says that the state is. Of a link that cannot connect it only says how long ago it last tried.
fn age(link: &Link) -> Option<u64> {
    link.age.filter(|_| matches!(condition(link), Condition::Running | Condition::Connecting))
}

/// What is so of a link that is not among those that its broker reports.
fn unlisted(topology: &Topology, link: &LinkRef, upstream: &End<'_>, downstream: &End<'_>) -> Condition {
    let condition = missing(topology, link, downstream);
    if downstream.health.is_none_or(|health| health.reported == Reported::All)
        || condition != Condition::Failing(Reason::NotStarted)
    {
        return condition;
    }
    let Some(connected) = is_connected(&link.resource, upstream, downstream) else {
        let uncounted =
            || Unavailable::Unresponsive("it collects no metrics and so counts no consumers".into());
        return Condition::Unknown(upstream.unavailable().unwrap_or_else(uncounted));
    };
    match (connected, downstream.health.and_then(|health| health.definitions.as_ref())) {
        (true, _) => Condition::Running,
        // the upstream may not have counted its consumer yet
        (false, Some(_)) => Condition::Connecting,
        (false, None) => condition,
    }
}

/// Whether the upstream has the consumer that a link is, where it says.
fn is_connected(resource: &Resource, upstream: &End<'_>, downstream: &End<'_>) -> Option<bool> {
    let queue = match resource {
        Resource::Exchange(name) => upstream.internal_queue(name, downstream),
        Resource::Queue(name) => name.clone(),
    };
    let user = upstream.link_user(downstream);
    let is_link = |consumer: &&Consumer| [user.as_str(), ITSELF].contains(&consumer.user.as_str());
    upstream.consumers.as_ref()?;
    Some(upstream.consumers_of(&queue).iter().any(is_link))
}

/// Why a link is not among those that its broker reports.
fn missing(topology: &Topology, link: &LinkRef, downstream: &End<'_>) -> Condition {
    let declared = downstream.health.is_some_and(|health| declares(health, &link.resource));
    if !declared {
        return Condition::Failing(Reason::NotDeclared);
    }
    let definitions = downstream.health.and_then(|health| health.definitions.as_ref());
    if definitions.is_some_and(|held| held.paused.contains(link.upstream.as_str())) {
        return Condition::Paused;
    }
    let cause = definitions.and_then(|definitions| missing_definition(topology, link, definitions));
    Condition::Failing(cause.unwrap_or(Reason::NotStarted))
}

/// What a broker lacks to start a link, if it lacks something.
fn missing_definition(topology: &Topology, link: &LinkRef, held: &LinkDefinitions) -> Option<Reason> {
    let apply_to = match link.resource {
        Resource::Exchange(_) => ApplyTo::Exchanges,
        Resource::Queue(_) => ApplyTo::Queues,
    };
    let name = link.resource.name();
    let matches = |pattern: &str| Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(name));
    let wanted = topology.federation.policies.iter();
    let wanted = wanted.filter(|policy| policy.apply_to == apply_to && matches(&policy.pattern));
    let wanted = wanted.max_by_key(|policy| policy.priority)?;
    let Some(own) = held.policies.get(&wanted.name) else {
        return Some(Reason::PolicyMissing { policy: wanted.name.clone() });
    };
    if !held.upstreams.contains(link.upstream.as_str()) {
        return Some(Reason::UpstreamMissing);
    }
    let applies = [apply_to.as_str(), "all"];
    let rivals = held.policies.iter().filter(|(name, policy)| {
        **name != wanted.name && applies.contains(&policy.apply_to.as_str()) && matches(&policy.pattern)
    });
    // of two with equal priorities either may win
    let (winner, policy) = rivals.max_by_key(|(_, policy)| policy.priority)?;
    (policy.priority >= own.priority).then(|| Reason::PolicyOverridden {
        policy: wanted.name.clone(),
        by: winner.clone(),
        priority: policy.priority,
    })
}

/// What is so of a link that is reported as running and does not work.
fn belied(link: &LinkRef, age: Option<u64>, upstream: &End<'_>, downstream: &End<'_>) -> Option<Reason> {
    if is_stale(upstream, downstream) {
        return Some(Reason::Stale);
    }
    match &link.resource {
        Resource::Exchange(exchange) => not_propagated(exchange, upstream, downstream),
        Resource::Queue(queue) => {
            fetches_nothing(queue, age, upstream, downstream).then_some(Reason::NotFetching)
        }
    }
}

/// Whether the link of a queue should fetch messages and does not. Brokers count their consumers every few seconds: of
/// a link that has just started, and of whose upstream nothing waits, it is too early to say. A consumer whose user the
/// broker does not say may be a link, and is evidence of nothing.
fn fetches_nothing(name: &str, age: Option<u64>, upstream: &End<'_>, downstream: &End<'_>) -> bool {
    if downstream.consumers.is_none() {
        return false;
    }
    let user = upstream.link_user(downstream);
    let is_local =
        |consumer: &&Consumer| !consumer.user.is_empty() && !downstream.is_link_user(&consumer.user);
    let may_be_link = |consumer: &&Consumer| [user.as_str(), ITSELF, ""].contains(&consumer.user.as_str());
    let ready = |end: &End<'_>| end.queues.get(name).map_or(0, |queue| queue.messages - queue.unacknowledged);
    let settled = age.is_some_and(|age| age >= COUNTED_WITHIN);
    upstream.consumers.as_ref().is_some_and(|counted| !counted.is_empty())
        && downstream.consumers_of(name).iter().any(is_local)
        && !upstream.consumers_of(name).iter().any(may_be_link)
        && ready(downstream) == 0
        && (ready(upstream) > 0 || settled)
}

/// Whether the upstream still has the downstream's connections from an address that it had before: they are dead, and
/// both sides notice only when their heartbeats fail.
fn is_stale(upstream: &End<'_>, downstream: &End<'_>) -> bool {
    let Some(address) = downstream.address else { return false };
    let user = upstream.link_user(downstream);
    let mut consumers = upstream.consumers.iter().flat_map(BTreeMap::values).flatten();
    consumers.any(|consumer| consumer.user == user && !consumer.host.is_empty() && consumer.host != address)
}

/// A link of an exchange carries only what the downstream has bound, and only once the upstream knows
/// of it, whatever the broker reports.
fn not_propagated(exchange: &str, upstream: &End<'_>, downstream: &End<'_>) -> Option<Reason> {
    upstream.health?;
    let queue = upstream.internal_queue(exchange, downstream);
    let internal = internal_exchanges(&queue);
    let own = downstream.bindings_of(exchange).filter(|(_, destination, _)| !is_internal(destination));
    let mut own = own.map(|(_, _, key)| *key).peekable();
    // without a binding there is nothing to carry
    own.peek()?;
    let bound = |name: &&String| upstream.bindings_of(name).any(|(_, to, _)| *to == queue);
    let Some(internal) = internal.iter().find(bound) else {
        return Some(Reason::InternalBindingMissing);
    };
    let arrived = |key: &str| upstream.bindings.contains(&(exchange, internal.as_str(), key));
    own.find(|key| !arrived(key)).map(|key| Reason::BindingNotPropagated { routing_key: key.to_owned() })
}

/// What a link that runs is doing. A broker counts its consumers every few seconds, so one may be missing for as long.
fn activity(link: &LinkRef, waiting: Option<&Queue>, downstream: &End<'_>) -> Option<Activity> {
    downstream.health?;
    let waiting = waiting?;
    let paused = match &link.resource {
        Resource::Exchange(_) => false,
        Resource::Queue(name) => {
            let counted = downstream.consumers.as_ref().filter(|consumers| !consumers.is_empty());
            counted.is_some_and(|consumers| !consumers.contains_key(name.as_str()))
        }
    };
    Some(match (paused, waiting.unacknowledged, waiting.messages, &link.resource) {
        (true, ..) => Activity::Paused,
        (false, 1.., ..) => Activity::Moving,
        (false, 0, 1.., Resource::Exchange(_)) => Activity::Blocked,
        (false, 0, ..) => Activity::Idle,
    })
}

fn unexpected_link(downstream: &RegionName, link: &Link) -> LinkStatus {
    let upstream = RegionName::new(&link.upstream);
    LinkStatus {
        link: LinkRef { upstream, downstream: downstream.clone(), resource: link.resource.clone() },
        condition: Condition::Failing(Reason::NotInTopology),
        activity: None,
        age_seconds: age(link),
        last_known: None,
        waiting: None,
        growth: None,
        lag_seconds: None,
    }
}
