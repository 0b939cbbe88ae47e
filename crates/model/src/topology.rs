//! What the user's `regions.yaml` asks for.

mod catalogue;
mod check;
mod codes;
mod expectations;
mod external;
mod federation;
mod findings;
mod instances;
mod lints;
mod routes;
mod tree;

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    diagnostic::{Code, Diagnostic},
    federation::is_internal,
    observed::Resource,
    pattern::Pattern,
};
pub use catalogue::{BuiltIn, Catalogue, LogFields, Variables};
pub use expectations::{Expectation, Publication, Test};
pub use external::{ExternalBroker, LinkUser, PasswordSource, password_variable};
pub use federation::{
    AckMode, ApplyTo, CleanupMode, Federation, FederationPolicy, Pair, QueueType, Shape, UpstreamSettings,
};
use findings::Findings;
pub use routes::{Copies, Neighbours};

/// What a name has to look like to be a host name as well.
const NAME: &str = "^[a-z]([a-z0-9-]*[a-z0-9])?$";

/// One file: a project, its regions, and how they are federated.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Topology {
    /// The project. Every container, network and volume is named after it.
    #[schemars(length(min = 1, max = 32), regex(pattern = NAME))]
    pub name: String,
    /// The region that does the work only one region may do.
    pub master: RegionName,
    /// The broker that runs in every region.
    #[serde(default)]
    pub broker: BrokerSettings,
    /// The image of the built-in services, for the engine's architecture; by default fedctl packs its
    /// own executable into one.
    #[serde(default)]
    pub service_image: Option<String>,
    /// The regions, each with a broker and its services.
    #[schemars(length(min = 1, max = 512))]
    pub regions: Vec<Region>,
    /// What is federated between the regions, and how.
    #[serde(default)]
    pub federation: Federation,
    /// What is published where and has to arrive where: `fedctl test` tries it, and nothing else does.
    #[serde(default)]
    pub tests: Vec<Test>,
}

/// The name of a region. It is also the host name and the cluster name of a broker that fedctl starts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct RegionName(#[schemars(length(min = 1, max = 32), regex(pattern = NAME))] String);

impl RegionName {
    /// Wraps a name; the topology's own names have been checked on reading.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Settings that every region's broker shares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BrokerSettings {
    /// The image: an official one, or one built with `compose/broker`.
    pub image: String,
    /// The memory limit of a broker's container, in MiB.
    #[schemars(range(min = 192, max = 1_048_576))]
    pub memory: u64,
    /// The limit of open files, which bounds connections and queues. The engine rejects one above its own.
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub open_files: u32,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self { image: "rabbitmq:4-management".into(), memory: 384, open_files: 16_384 }
    }
}

/// A region: one broker and its services.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Region {
    /// The region's name.
    pub name: RegionName,
    /// A broker that runs already; without it fedctl starts one.
    #[serde(default)]
    pub broker: Option<ExternalBroker>,
    /// Host ports for the broker; the engine chooses those that are not given.
    #[serde(default)]
    pub ports: BrokerPorts,
    /// The services in this region.
    #[serde(default)]
    pub services: Vec<Service>,
}

/// Ports of the host's loopback address on which a broker is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BrokerPorts {
    /// AMQP 0-9-1 (5672 in the container).
    #[schemars(range(min = 1))]
    pub amqp: Option<u16>,
    /// The management API and UI (15672 in the container).
    #[schemars(range(min = 1))]
    pub management: Option<u16>,
}

/// A service in a region, next to its broker.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Service {
    /// The service's name. Without an image it names a built-in service, such as `products`.
    #[schemars(length(min = 1, max = 32), regex(pattern = NAME))]
    pub name: String,
    /// How many replicas run: `NAME`, `NAME-2`, `NAME-3` and so on.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    pub replicas: u16,
    /// The image to run instead of a built-in service.
    #[serde(default)]
    pub image: Option<String>,
    /// The command, in place of the image's own.
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment variables, in addition to those that fedctl sets.
    ///
    /// In a value, `${instances:SERVICE}` stands for every instance of that service in the topology, as
    /// `region/instance`, comma separated.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Ports of the container to publish on the host's loopback address; built-in services publish 8000 by default.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// How to find out whether the service is ready, which `up` waits for and `status` shows.
    ///
    /// Built-in services are checked at `/healthz` on port 8000 by default; a service with an image of its own is
    /// checked only if this is set.
    #[serde(default)]
    pub readiness: Option<Readiness>,
    /// The user or `uid:gid` that the container runs as.
    #[serde(default)]
    pub user: Option<String>,
    /// The memory limit in MiB.
    #[serde(default)]
    #[schemars(range(min = 8, max = 1_048_576))]
    pub memory: Option<u64>,
    /// Also put the AMQP URI, password included, in the environment as `AMQP_URI`.
    ///
    /// Anyone who can inspect the container can then read the password; without this it is only in
    /// the file that `AMQP_URI_FILE` names.
    #[serde(default)]
    pub amqp_uri_in_environment: bool,
}

fn one() -> u16 {
    1
}

impl Service {
    /// The names of its replicas.
    pub fn instances(&self) -> impl Iterator<Item = String> {
        let name = self.name.clone();
        (1..=self.replicas).map(move |number| match number {
            1 => name.clone(),
            number => format!("{name}-{number}"),
        })
    }

    /// The path and the port of the readiness check.
    #[must_use]
    pub fn readiness_check(&self) -> Option<(&str, u16)> {
        let Readiness { http, port } = self.readiness.as_ref()?;
        let first = self.ports.first().map(|port| port.container);
        Some((http, port.or(first)?))
    }

    fn publishes(&self, port: u16) -> bool {
        self.ports.iter().any(|published| published.container == port)
    }
}

/// An HTTP request that succeeds once a service is ready.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Readiness {
    /// The path to `GET`, such as `/healthz`.
    pub http: String,
    /// The port in the container, one of the published ones; the first of them by default.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// A published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Port {
    /// The port in the container.
    #[schemars(range(min = 1))]
    pub container: u16,
    /// The port on the host's loopback address; the engine chooses one if none is given.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub host: Option<u16>,
}

/// Reads a `regions.yaml` and checks all of it. The findings that come with a topology are warnings.
///
/// # Errors
///
/// Every finding in the text, worst first, where at least one of them is an error. What the
/// values mean together is checked once each of them has its right shape.
pub fn parse(text: &str, catalogue: &Catalogue) -> Result<(Topology, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut findings = Findings::new(text);
    let Some(tree) = tree::read(&mut findings) else {
        return Err(findings.finish());
    };
    check::check(&tree, &shape(), &mut findings);
    if findings.has_errors() {
        return Err(findings.finish());
    }
    match serde_json::from_value::<Topology>(tree.to_json()) {
        Ok(mut topology) => {
            catalogue.complete(&mut topology);
            lints::check(&topology, catalogue, &tree, &mut findings);
            if findings.has_errors() { Err(findings.finish()) } else { Ok((topology, findings.finish())) }
        }
        Err(error) => {
            findings.add(codes::UNREADABLE, &tree.span, error.to_string(), None);
            Err(findings.finish())
        }
    }
}

/// The JSON schema of a `regions.yaml`, for editors.
#[must_use]
pub fn schema(catalogue: &Catalogue) -> serde_json::Value {
    let mut schema = shape();
    catalogue.describe(&mut schema);
    schema
}

/// The schema that [`parse`] itself judges by.
fn shape() -> serde_json::Value {
    schemars::schema_for!(Topology).to_value()
}

/// The codes of what [`parse`] finds.
pub(crate) fn codes() -> Vec<Code> {
    codes::ALL.into_iter().chain(lints::codes()).collect()
}

impl Topology {
    /// Whether the built-in services need an image that fedctl packs from its own executable.
    #[must_use]
    pub fn needs_packed_image(&self) -> bool {
        let mut services = self.regions.iter().flat_map(|region| &region.services);
        self.service_image.is_none() && services.any(|service| service.image.is_none())
    }

    /// Whether a policy of the topology federates this. The default exchange is never federated, nor is what links make.
    #[must_use]
    pub fn federates(&self, resource: &Resource) -> bool {
        let (name, kind) = match resource {
            Resource::Exchange(name) => (name, ApplyTo::Exchanges),
            Resource::Queue(name) => (name, ApplyTo::Queues),
        };
        let mut policies = self.federation.policies.iter().filter(|policy| policy.apply_to == kind);
        let is_free = !name.is_empty() && !is_internal(name);
        is_free && policies.any(|found| Pattern::new(&found.pattern).is_ok_and(|found| found.matches(name)))
    }

    /// The region of that name.
    #[must_use]
    pub fn region(&self, name: &RegionName) -> Option<&Region> {
        self.regions.iter().find(|region| region.name == *name)
    }
}
