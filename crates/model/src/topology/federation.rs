//! The federation settings of the file.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::RegionName;

/// How the regions are federated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Federation {
    /// Which region is upstream of which.
    pub shape: Shape,
    /// The region that every other one is linked to, with the shape `hub-and-spoke`.
    pub hub: Option<RegionName>,
    /// Messages flow in one direction only: with `ring` and `line` in the order of the file, with `hub-and-spoke` from the
    /// hub.
    pub one_way: bool,
    /// The links, with the shape `pairs`.
    pub pairs: Vec<Pair>,
    /// Accept that a message of an exchange reaches a region by several paths, and so more than once.
    pub allow_duplicates: bool,
    /// Settings of every upstream.
    pub upstream: UpstreamSettings,
    /// Which exchanges and queues are federated.
    #[schemars(length(min = 1))]
    pub policies: Vec<FederationPolicy>,
}

impl Default for Federation {
    fn default() -> Self {
        Self {
            shape: Shape::default(),
            hub: None,
            one_way: false,
            pairs: Vec::new(),
            allow_duplicates: false,
            upstream: UpstreamSettings::default(),
            policies: vec![
                FederationPolicy {
                    name: "events".into(),
                    pattern: r"\.events$".into(),
                    apply_to: ApplyTo::Exchanges,
                    priority: 0,
                    definition: Map::new(),
                },
                FederationPolicy {
                    name: "fed".into(),
                    pattern: r"^fed\.".into(),
                    apply_to: ApplyTo::Queues,
                    priority: 0,
                    definition: Map::new(),
                },
            ],
        }
    }
}

/// Which region is upstream of which.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Every region is upstream of every other.
    #[default]
    FullMesh,
    /// Every region is linked to the one before and the one after it in the file, and the last one to the first.
    Ring,
    /// The same, and the last one is not linked to the first.
    Line,
    /// Every region is linked to one of them.
    HubAndSpoke,
    /// Only the links that are listed.
    Pairs,
}

impl Shape {
    /// As the file spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Shape::FullMesh => "full-mesh",
            Shape::Ring => "ring",
            Shape::Line => "line",
            Shape::HubAndSpoke => "hub-and-spoke",
            Shape::Pairs => "pairs",
        }
    }
}

/// One direction of federation: messages flow from `upstream` to `downstream`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The region that the messages come from.
    pub upstream: RegionName,
    /// The region that receives them, and whose broker holds the upstream's definition.
    pub downstream: RegionName,
}

/// Settings of every upstream. The defaults lose nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct UpstreamSettings {
    /// When the link acknowledges a message to the upstream.
    pub ack_mode: AckMode,
    /// How many unacknowledged messages may be in flight on a link.
    #[schemars(range(min = 1, max = 65_535))]
    pub prefetch_count: u32,
    /// Seconds between two attempts to connect.
    #[schemars(range(min = 1, max = 3600))]
    pub reconnect_delay: u32,
    /// How many links a message of an exchange may cross.
    ///
    /// By default as many as it takes to reach every region, which is one in a full mesh.
    #[schemars(range(min = 1, max = 1024))]
    pub max_hops: Option<u32>,
    /// The AMQP heartbeat of a link, in seconds; a dead region is noticed within about twice that.
    #[schemars(range(min = 1, max = 3600))]
    pub heartbeat: u32,
    /// Milliseconds after which the queue of an exchange's link is deleted, with the messages in it, if the link stays away.
    ///
    /// By default it waits for ever, however large it grows.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub expires: Option<u32>,
    /// Milliseconds after which a message is dropped that waits in the queue of an exchange's link.
    ///
    /// By default it waits for ever.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub message_ttl: Option<u32>,
    /// The type of the queue of an exchange's link, from RabbitMQ 3.13.1 on; a classic one by default.
    pub queue_type: Option<QueueType>,
    /// What a link does with its queue on the upstream when it ends or restarts.
    pub resource_cleanup_mode: CleanupMode,
    /// Pass on the `user_id` of messages, which links otherwise remove.
    pub trust_user_id: bool,
    /// Do not wait for the upstream's answer to each binding, so that a link with many of them starts sooner over a long
    /// distance.
    pub bind_nowait: bool,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            ack_mode: AckMode::OnConfirm,
            prefetch_count: 1000,
            reconnect_delay: 1,
            max_hops: None,
            heartbeat: 5,
            expires: None,
            message_ttl: None,
            queue_type: None,
            resource_cleanup_mode: CleanupMode::Never,
            trust_user_id: false,
            bind_nowait: false,
        }
    }
}

/// When a link acknowledges a message to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AckMode {
    /// After the downstream broker has confirmed it: nothing is lost.
    OnConfirm,
    /// After it was published downstream: what is in flight when a broker dies is lost.
    OnPublish,
    /// Never: what is in flight when a link breaks is lost.
    NoAck,
}

/// What a link does with its queue on the upstream when it ends or restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CleanupMode {
    /// It stays, with the messages in it: nothing is lost.
    Never,
    /// It is deleted, with the messages in it, as RabbitMQ does by default.
    Default,
}

impl CleanupMode {
    /// As RabbitMQ spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CleanupMode::Never => "never",
            CleanupMode::Default => "default",
        }
    }
}

/// The type of the queue in which an upstream keeps an exchange's messages for a downstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QueueType {
    /// On one node of the upstream.
    Classic,
    /// Replicated to several nodes of the upstream.
    Quorum,
}

impl QueueType {
    /// As RabbitMQ spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            QueueType::Classic => "classic",
            QueueType::Quorum => "quorum",
        }
    }
}

/// A policy that federates the exchanges or queues whose names match.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FederationPolicy {
    /// The policy's name on the brokers.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// A regular expression over the names of exchanges or queues.
    pub pattern: String,
    /// What it applies to.
    pub apply_to: ApplyTo,
    /// If several policies match an exchange or queue, the one with the highest priority wins.
    #[serde(default)]
    #[schemars(range(min = i32::MIN, max = i32::MAX))]
    pub priority: i32,
    /// Other keys of RabbitMQ's policies that apply to them, such as `max-length` or `dead-letter-exchange`.
    ///
    /// Of all policies that match an exchange or queue one alone applies, so it has to carry them all.
    #[serde(default)]
    #[schemars(schema_with = "plain_values")]
    pub definition: Map<String, Value>,
}

/// Free keys, and what they may be set to.
pub(super) fn plain_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}})
}

/// What a policy applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ApplyTo {
    /// Exchanges: every region gets a copy of every message.
    Exchanges,
    /// Queues: a message is consumed once, in whichever region has a free consumer.
    Queues,
}
