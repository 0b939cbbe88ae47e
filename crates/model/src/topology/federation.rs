//! The federation settings of the file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RegionName;

/// How the regions are federated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Federation {
    /// Which region is upstream of which.
    pub shape: Shape,
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
            upstream: UpstreamSettings::default(),
            policies: vec![
                FederationPolicy {
                    name: "events".into(),
                    pattern: r"\.events$".into(),
                    apply_to: ApplyTo::Exchanges,
                    priority: 0,
                },
                FederationPolicy {
                    name: "fed".into(),
                    pattern: r"^fed\.".into(),
                    apply_to: ApplyTo::Queues,
                    priority: 0,
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
}

/// One direction of federation: messages flow from `upstream` to `downstream`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// How many links a message may cross; 1 in a full mesh, or it arrives more than once.
    #[schemars(range(min = 1, max = 64))]
    pub max_hops: u32,
    /// The AMQP heartbeat of a link, in seconds; a dead region is noticed within about twice that.
    #[schemars(range(min = 1, max = 3600))]
    pub heartbeat: u32,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            ack_mode: AckMode::OnConfirm,
            prefetch_count: 1000,
            reconnect_delay: 1,
            max_hops: 1,
            heartbeat: 5,
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
