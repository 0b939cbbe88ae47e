//! The topology's own tests: what is published where, and where it has to arrive.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{RegionName, federation::plain_values};
use crate::observed::Resource;

/// Messages that are published in one region, and where they have to arrive. Only `fedctl test` publishes them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Test {
    /// What it shows, in a few words.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// What is published, and where.
    pub publish: Publication,
    /// Where it arrives.
    #[schemars(length(min = 1, max = 256))]
    pub expect: Vec<Expectation>,
    /// How long all of it may take after publishing began, such as `5s` or `1m 30s`.
    #[serde(default = "five_seconds")]
    pub within: String,
    /// Nothing arrives in any region that `expect` does not name, and nothing comes back to where it was published.
    #[serde(default = "yes")]
    pub nowhere_else: bool,
}

/// Messages to publish: to an exchange, or straight to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Publication {
    /// The region in which they are published.
    pub region: RegionName,
    /// The exchange, which has to exist.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub exchange: Option<String>,
    /// Or the queue, which has to exist.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub queue: Option<String>,
    /// The routing key of messages to an exchange; empty by default.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub routing_key: Option<String>,
    /// How many messages.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    pub count: usize,
    /// The body of each.
    #[serde(default)]
    pub payload: String,
    /// Headers of each, besides `x-fedctl-test`, which tells them from an application's.
    #[serde(default)]
    #[schemars(schema_with = "plain_values")]
    pub headers: Map<String, Value>,
}

/// Messages that have to arrive: at an exchange, or in a queue of an application.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expectation {
    /// The region in which they arrive.
    pub region: RegionName,
    /// The exchange, which has to exist: the test binds a queue of its own to it.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub exchange: Option<String>,
    /// Or the queue, which has to exist, without messages and consumers: the test consumes it.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub queue: Option<String>,
    /// The key with which the test's queue is bound; the routing key by default.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub binding_key: Option<String>,
    /// How many messages; all by default.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub count: Option<usize>,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

fn five_seconds() -> String {
    "5s".to_owned()
}

impl Test {
    /// The same as a time. One that cannot be read was found on reading.
    #[must_use]
    pub fn within(&self) -> Duration {
        time(&self.within).unwrap_or_default()
    }

    /// The key with which a queue of the test's own is bound for an expectation.
    #[must_use]
    pub fn binding_key<'t>(&'t self, expectation: &'t Expectation) -> &'t str {
        expectation.binding_key.as_deref().unwrap_or(self.publish.routing_key())
    }

    /// Whether it publishes to a queue or consumes one.
    #[must_use]
    pub fn names_a_queue(&self) -> bool {
        self.publish.queue.is_some() || self.expect.iter().any(|expected| expected.queue.is_some())
    }

    /// How many messages an expectation is for.
    #[must_use]
    pub fn wanted(&self, expectation: &Expectation) -> usize {
        expectation.count.unwrap_or(self.publish.count)
    }
}

impl Publication {
    /// What is published to. Which of the two it is was checked on reading.
    #[must_use]
    pub fn target(&self) -> Resource {
        resource(self.exchange.as_ref(), self.queue.as_ref())
    }

    /// The routing key, empty if none is given.
    #[must_use]
    pub fn routing_key(&self) -> &str {
        self.routing_key.as_deref().unwrap_or_default()
    }
}

impl Expectation {
    /// Where the messages arrive. Which of the two it is was checked on reading.
    #[must_use]
    pub fn target(&self) -> Resource {
        resource(self.exchange.as_ref(), self.queue.as_ref())
    }
}

fn resource(exchange: Option<&String>, queue: Option<&String>) -> Resource {
    match queue {
        Some(queue) => Resource::Queue(queue.clone()),
        None => Resource::Exchange(exchange.cloned().unwrap_or_default()),
    }
}

/// What a time such as `1m 30s` says, if it says one.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}
