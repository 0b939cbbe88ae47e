//! What the checks know of a broker, besides its health.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::AmqpUri;

/// What a broker holds, as far as checks look at it.
#[derive(Debug, Clone, Default)]
pub struct BrokerFacts {
    pub cluster_name: String,
    /// Seconds by which its clock is ahead of this machine's, if it gave its time.
    pub clock_ahead: Option<i64>,
    pub nodes: Vec<Node>,
    pub exchanges: Vec<Exchange>,
    pub queues: Vec<Queue>,
    /// Policies, and operator policies.
    pub policies: Vec<Rule>,
    /// Upstreams by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// The names of the upstreams in each upstream set.
    pub upstream_sets: BTreeMap<String, Vec<String>>,
    /// Users by name; none where fedctl may not see them.
    pub users: Option<BTreeMap<String, User>>,
    /// Stable feature flags that are not enabled.
    pub disabled_flags: Vec<String>,
    /// Deprecated features that are in use.
    pub deprecated: Vec<String>,
    /// Listeners with a certificate that expires within a month.
    pub expiring: Vec<Expiring>,
}

/// A node of a broker's cluster.
#[derive(Debug, Clone, Default)]
pub struct Node {
    pub name: String,
    pub running: bool,
    /// Nodes that it does not see any more since the network between them was cut.
    pub partitions: Vec<String>,
    pub file_descriptors: Usage,
    /// Sockets; not limited apart from file descriptors from RabbitMQ 4.0 on.
    pub sockets: Usage,
    /// Erlang processes.
    pub processes: Usage,
    /// Bytes of memory, up to where the alarm begins.
    pub memory: Usage,
    /// Free bytes on its disk.
    pub disk_free: Option<u64>,
    /// Free bytes below which the alarm begins.
    pub disk_limit: Option<u64>,
}

/// How much is used, and how much there is; none where the broker does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub used: Option<u64>,
    pub limit: Option<u64>,
}

/// An exchange.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub name: String,
    /// RabbitMQ's word, such as `topic`.
    pub kind: String,
}

/// A queue.
#[derive(Debug, Clone)]
pub struct Queue {
    pub name: String,
    /// RabbitMQ's word, such as `classic`.
    pub kind: String,
    pub durable: bool,
    pub exclusive: bool,
    pub auto_delete: bool,
}

/// A policy, or one of the operator's, which is applied in addition.
#[derive(Debug, Clone)]
pub struct Rule {
    pub name: String,
    pub is_operators: bool,
    pub policy: crate::definition::Policy,
}

/// An upstream, without its passwords.
#[derive(Debug, Clone)]
pub struct Upstream {
    pub uris: Vec<AmqpUri>,
    /// Every other key.
    pub settings: Map<String, Value>,
}

/// A user.
#[derive(Debug, Clone, Default)]
pub struct User {
    /// What it may do with the management API, such as `administrator`.
    pub tags: BTreeSet<String>,
}

/// A listener with a certificate that is about to expire, or has expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    pub port: u16,
    /// The first of the times, as the broker writes it: `2026-12-01 10:00:00`.
    pub at: String,
}
