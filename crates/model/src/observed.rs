//! The observed state: what the engine and the brokers report.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{
    definition::{Permissions, Policy, Upstream},
    site::{Site, Unavailable},
    topology::RegionName,
};

/// What was found at one moment, with what was asked of the brokers.
#[derive(Debug, Clone)]
pub struct Snapshot<T> {
    /// What the engine has.
    pub engine: EngineState,
    /// Every region of the topology, whether or not its broker answered.
    pub brokers: BTreeMap<RegionName, Observed<T>>,
    /// Why services are not ready, by container: of those that run and have a readiness check.
    pub not_ready: BTreeMap<String, String>,
}

/// A region's broker, as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed<T> {
    /// Where it is, if known.
    pub site: Option<Site>,
    /// What it answered, or why it did not.
    pub answer: Result<T, Unavailable>,
}

impl<T> Default for Snapshot<T> {
    fn default() -> Self {
        Self { engine: EngineState::default(), brokers: BTreeMap::new(), not_ready: BTreeMap::new() }
    }
}

impl<T> Snapshot<T> {
    /// What the broker of a region answered, if it did.
    #[must_use]
    pub fn answer(&self, region: &RegionName) -> Option<&T> {
        self.brokers.get(region)?.answer.as_ref().ok()
    }

    /// Why the broker of a region did not answer, if it did not.
    #[must_use]
    pub fn unavailable(&self, region: &RegionName) -> Option<&Unavailable> {
        self.brokers.get(region)?.answer.as_ref().err()
    }
}

/// What an engine has.
#[derive(Debug, Clone, Default)]
pub struct EngineState {
    /// The ids of those of the requested images that exist, by reference.
    pub images: BTreeMap<String, String>,
    /// RabbitMQ's version in those images, and in those that brokers' containers were made from, by the image's id,
    /// where the image says.
    pub rabbitmq_versions: BTreeMap<String, String>,
    /// All networks.
    pub networks: Vec<Object>,
    /// All volumes.
    pub volumes: Vec<Object>,
    /// All containers, running or not.
    pub containers: Vec<Container>,
}

impl EngineState {
    /// The container of this name.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }
}

/// A network or volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its state.
    pub state: ContainerState,
    /// The same as the engine shows it, with times: `Up 3 minutes`, `Exited (137) 2 seconds ago`.
    pub status: String,
    /// The id of the image it was made from.
    pub image_id: String,
    /// Its address on each network that it is attached to; empty where the engine gives none.
    pub networks: BTreeMap<String, String>,
    /// Published ports: host port by container port.
    pub ports: BTreeMap<u16, u16>,
}

/// The state of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// Created and never started: it may lack its files.
    Created,
    /// Running.
    Running,
    /// Exited, and about to be restarted by the engine.
    Restarting,
    /// Exited, and not restarted.
    Stopped,
    /// Paused.
    Paused,
}

/// The definitions that a broker holds, as far as fedctl looks at them.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    /// RabbitMQ's version, if it is known.
    pub version: Option<String>,
    /// The cluster name.
    pub cluster_name: String,
    /// Password hashes by user name.
    pub users: BTreeMap<String, String>,
    /// Permissions in the virtual host, by user name.
    pub permissions: BTreeMap<String, Permissions>,
    /// Upstreams by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Policies by name.
    pub policies: BTreeMap<String, Policy>,
    /// The names of exchanges.
    pub exchanges: Vec<String>,
    /// Queues.
    pub queues: Vec<Queue>,
    /// The arguments of the internal queues among them, by name.
    pub internal: BTreeMap<String, Map<String, Value>>,
    /// What this project recorded as its own; none if it has not recorded anything yet.
    pub owned: Option<Owned>,
    /// What other projects recorded as theirs on this broker, by project.
    pub others: Vec<(String, Owned)>,
    /// Of a broker that fedctl did not start: the virtual host does not exist, and so nothing in it.
    pub lacks_vhost: bool,
    /// Of such a broker: the tags of fedctl's user. Without `administrator` the broker does not say which users it has.
    pub tags: Option<BTreeSet<String>>,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Messages in it, ready or unacknowledged.
    pub messages: u64,
    /// Those of them that a consumer has.
    pub unacknowledged: u64,
    /// Whether it is a stream, which RabbitMQ does not federate.
    pub is_stream: bool,
}

/// A queue, and how it moves.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueDetails {
    /// Its name.
    pub name: String,
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages that a consumer has.
    pub unacknowledged: u64,
    /// Consumers; unknown where the broker has not counted them.
    pub consumers: Option<u64>,
    /// Messages a second by which it grows; unknown as well.
    pub growth: Option<f64>,
}

/// The names of what a project recorded on a broker as its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owned {
    pub users: BTreeSet<String>,
    pub upstreams: BTreeSet<String>,
    pub policies: BTreeSet<String>,
    /// Regions that receive from this one.
    pub downstreams: BTreeSet<String>,
    /// Upstreams whose links are paused: their definitions lead nowhere until they are resumed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub paused: BTreeSet<String>,
    /// The virtual host, of a broker that fedctl did not start: several projects may have upstreams and policies of the same
    /// name on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
}

impl Owned {
    /// Whether it is about objects in this virtual host; one that names none may be.
    #[must_use]
    pub fn is_of(&self, vhost: &str) -> bool {
        self.vhost.as_deref().is_none_or(|own| own == vhost)
    }
}

/// The health of a region's broker at one moment.
#[derive(Debug, Clone)]
pub struct BrokerHealth {
    /// RabbitMQ's version.
    pub version: String,
    /// Milliseconds since the node started; unknown in its first seconds.
    pub uptime_ms: Option<u64>,
    /// Memory in use, in bytes; unknown in the node's first seconds.
    pub memory_used: Option<u64>,
    /// Alarms in effect: `memory`, `disk`; unknown where the broker does not say.
    pub alarms: Option<Vec<String>>,
    /// Exchanges.
    pub exchanges: Vec<String>,
    /// Queues.
    pub queues: Vec<Queue>,
    /// Bindings.
    pub bindings: Vec<Binding>,
    /// Links, as this broker, the downstream, reports them; or which plugin it lacks to do so.
    pub links: Result<Vec<Link>, Plugin>,
    /// Which of them.
    pub reported: Reported,
    /// Consumers, as of the broker's last count, a few seconds ago; unknown where it collects no metrics.
    pub consumers: Option<Vec<Consumer>>,
    /// What it holds for its links; asked only where one is missing.
    pub definitions: Option<LinkDefinitions>,
}

/// Which of its links a broker was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reported {
    /// All of them.
    All,
    /// Those that do not run, since there are very many.
    NotRunning,
}

/// A plugin of RabbitMQ that federation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plugin {
    /// What links are.
    Federation,
    /// What reports them.
    FederationManagement,
    /// The management API.
    Management,
}

impl Plugin {
    /// All of them.
    pub const ALL: [Plugin; 3] = [Plugin::Management, Plugin::Federation, Plugin::FederationManagement];

    /// RabbitMQ's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Plugin::Federation => "rabbitmq_federation",
            Plugin::FederationManagement => "rabbitmq_federation_management",
            Plugin::Management => "rabbitmq_management",
        }
    }
}

/// What a broker holds for its links.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LinkDefinitions {
    /// Policies by name.
    pub policies: BTreeMap<String, Policy>,
    /// The names of upstreams.
    pub upstreams: BTreeSet<String>,
    /// Upstreams whose links are paused.
    pub paused: BTreeSet<String>,
}

/// A consumer of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// The queue.
    pub queue: String,
    /// The user that it is connected as.
    pub user: String,
    /// The address that it is connected from.
    pub host: String,
}

/// A binding of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The exchange.
    pub source: String,
    /// The queue or exchange that receives.
    pub destination: String,
    /// The routing key.
    pub routing_key: String,
}

/// A federation link, as the downstream broker reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What is federated.
    pub resource: Resource,
    /// The upstream's name.
    pub upstream: String,
    /// RabbitMQ's word: `running`, `starting`, or the kind of failure. An open set.
    pub status: String,
    /// The failure, as the broker puts it.
    pub error: Option<String>,
    /// Seconds since the status last changed, if the broker's clock could be read.
    pub age: Option<u64>,
    /// Whether its upstream leads nowhere, as it does while links are paused.
    pub is_paused: bool,
}

/// The federated exchanges and queues of each region, as its broker last had them.
pub type Federated = BTreeMap<RegionName, BTreeSet<Resource>>;

/// A federated exchange or queue.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(tag = "type", content = "name", rename_all = "lowercase")]
pub enum Resource {
    /// An exchange.
    Exchange(String),
    /// A queue.
    Queue(String),
}

impl Resource {
    /// Which of the two it is, as a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Resource::Exchange(_) => "exchange",
            Resource::Queue(_) => "queue",
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Resource::Exchange(name) | Resource::Queue(name) => name,
        }
    }
}
