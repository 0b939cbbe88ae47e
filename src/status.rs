//! What should be against what is: every region, and every link that the topology and its policies call for.

mod error;

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    desired::{AMQP_PORT, BROKER, MANAGEMENT_PORT, container, internal_queue},
    observed::{Binding, BrokerHealth, ContainerState, EngineState, Link, Resource},
    topology::{ApplyTo, Pair, RegionName, Topology},
};

/// Seconds for which a link may be `starting`; one that takes longer is black-holed.
const STARTING_LIMIT: u64 = 5;
/// The version of the JSON form. Within it, fields are only added.
const FORMAT_VERSION: u32 = 1;

/// Everything that `fedctl status` reports.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Status {
    /// The version of this form.
    pub version: u32,
    /// The project.
    pub project: String,
    /// Its regions, in the order of the file.
    pub regions: Vec<RegionStatus>,
    /// Its links.
    pub links: Vec<LinkStatus>,
}

/// A region.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RegionStatus {
    /// Its name.
    pub name: RegionName,
    /// Its broker.
    pub broker: BrokerStatus,
    /// Its services.
    pub services: Vec<ServiceStatus>,
}

/// A region's broker.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BrokerStatus {
    /// Whether it answers.
    pub state: BrokerState,
    /// Why it does not answer.
    pub error: Option<String>,
    /// RabbitMQ's version.
    pub version: Option<String>,
    /// Milliseconds since it started.
    pub uptime_ms: Option<u64>,
    /// Bytes of memory in use.
    pub memory_bytes: Option<u64>,
    /// The container's limit, in bytes.
    pub memory_limit_bytes: u64,
    /// Alarms in force; a broker with one accepts no messages.
    pub alarms: Vec<String>,
    /// The host port of AMQP.
    pub amqp_port: Option<u16>,
    /// The host port of the management API.
    pub management_port: Option<u16>,
}

/// Whether a broker answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BrokerState {
    /// It answers.
    Running,
    /// Its container runs and it does not answer.
    Unreachable,
    /// Its container does not run.
    Stopped,
    /// It has no container.
    Missing,
}

/// A service's container.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ServiceStatus {
    /// The service's name.
    pub name: String,
    /// Whether its container runs.
    pub running: bool,
    /// The engine's words for its state; none where it has no container.
    pub container: Option<String>,
    /// Published ports: host port by container port.
    pub ports: BTreeMap<u16, u16>,
}

/// A link.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LinkStatus {
    /// Where messages come from.
    pub upstream: RegionName,
    /// Where they go.
    pub downstream: RegionName,
    /// What is federated.
    pub resource: Resource,
    /// How the link is.
    pub state: LinkState,
    /// Why it does not run, in plain words.
    pub error: Option<String>,
    /// Seconds since its state last changed.
    pub age_seconds: Option<u64>,
    /// Messages that wait on the upstream to cross it.
    pub waiting: Option<u64>,
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Connected.
    Running,
    /// Connecting.
    Starting,
    /// Not connected, or connecting for too long.
    Down,
    /// The topology calls for it and the broker does not have it.
    Missing,
    /// The broker has it and the topology does not call for it.
    Unexpected,
}

impl Status {
    /// Whether every region answers without alarm, every service runs, and every expected link runs and
    /// no other.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.regions.iter().all(RegionStatus::is_healthy)
            && self.links.iter().all(|link| link.state == LinkState::Running)
    }
}

impl RegionStatus {
    /// Whether its broker answers without alarm and its services run.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.broker.state == BrokerState::Running
            && self.broker.alarms.is_empty()
            && self.services.iter().all(|service| service.running)
    }
}

/// The JSON schema of a [`Status`], for programs that read it.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Status).to_value()
}

/// Holds what was found against the topology. `health` says why for a broker that did not answer.
#[must_use]
pub fn status(
    topology: &Topology,
    engine: &EngineState,
    health: &BTreeMap<RegionName, Result<BrokerHealth, String>>,
) -> Status {
    let regions =
        topology.regions.iter().map(|region| region_status(topology, &region.name, engine, health)).collect();
    Status {
        version: FORMAT_VERSION,
        project: topology.name.clone(),
        regions,
        links: links(topology, health),
    }
}

fn region_status(
    topology: &Topology,
    region: &RegionName,
    engine: &EngineState,
    health: &BTreeMap<RegionName, Result<BrokerHealth, String>>,
) -> RegionStatus {
    let find = |service: &str| {
        let name = container(&topology.name, region, service);
        engine.containers.iter().find(|container| container.name == name)
    };
    let broker = find(BROKER);
    let health = health.get(region);
    let answered = health.and_then(|health| health.as_ref().ok());
    let state = match (broker.map(|broker| broker.state), answered) {
        (_, Some(_)) => BrokerState::Running,
        (None, None) => BrokerState::Missing,
        (Some(ContainerState::Running), None) => BrokerState::Unreachable,
        (Some(_), None) => BrokerState::Stopped,
    };
    let unreachable = health.and_then(|health| health.as_ref().err().cloned());
    let port = |port: u16| broker.and_then(|broker| broker.ports.get(&port).copied());
    let services = topology.region(region).map(|region| region.services.as_slice()).unwrap_or_default();
    RegionStatus {
        name: region.clone(),
        broker: BrokerStatus {
            state,
            error: unreachable.or_else(|| match state {
                BrokerState::Stopped => broker.map(|broker| broker.status.clone()),
                BrokerState::Unreachable => {
                    Some("fedctl has no password for it: `fedctl up` makes new ones".into())
                }
                BrokerState::Running | BrokerState::Missing => None,
            }),
            version: answered.map(|health| health.version.clone()),
            uptime_ms: answered.and_then(|health| health.uptime_ms),
            memory_bytes: answered.and_then(|health| health.memory_used),
            memory_limit_bytes: topology.broker.memory << 20,
            alarms: answered
                .map_or_else(Vec::new, |health| health.alarms.iter().map(ToString::to_string).collect()),
            amqp_port: port(AMQP_PORT),
            management_port: port(MANAGEMENT_PORT),
        },
        services: services
            .iter()
            .map(|service| {
                let found = find(&service.name);
                ServiceStatus {
                    name: service.name.clone(),
                    running: found.is_some_and(|found| found.state == ContainerState::Running),
                    container: found.map(|found| found.status.clone()),
                    ports: found.map(|found| found.ports.clone()).unwrap_or_default(),
                }
            })
            .collect(),
    }
}

/// The links of every downstream whose broker answered; what another one has cannot be known.
#[must_use]
pub fn links(
    topology: &Topology,
    health: &BTreeMap<RegionName, Result<BrokerHealth, String>>,
) -> Vec<LinkStatus> {
    let policies = Policies::of(topology);
    let health: BTreeMap<&RegionName, &BrokerHealth> =
        health.iter().filter_map(|(region, health)| Some((region, health.as_ref().ok()?))).collect();
    let mut links = Vec::new();
    let pairs = topology.pairs();
    for region in &topology.regions {
        let Some(downstream) = health.get(&region.name) else { continue };
        let reported: BTreeMap<(&str, &Resource), &Link> =
            downstream.links.iter().map(|link| ((link.upstream.as_str(), &link.resource), link)).collect();
        let mut expected = BTreeSet::new();
        for pair in pairs.iter().filter(|pair| pair.downstream == region.name) {
            let upstream = health.get(&pair.upstream).map(|upstream| Seen::of(upstream));
            for resource in policies.matched(downstream) {
                let found = reported.get(&(pair.upstream.as_str(), &resource)).copied();
                expected.insert((pair.upstream.to_string(), resource.clone()));
                let mut link = link_status(pair, resource, found, upstream.as_ref());
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
    /// Whether its broker calls it running though bindings have not crossed it. Where the exchange was
    /// deleted and declared anew on the upstream this lasts until the link is restarted.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        self.state == LinkState::Starting && self.error.is_some()
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
