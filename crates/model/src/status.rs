//! Expected against actual: every region, and every link that the topology and its policies require.

mod changes;
mod codes;
mod expected;
mod history;
mod limits;
mod link;
mod links;
mod reason;
mod verdict;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

pub use changes::{Change, Watched};
pub(crate) use codes::{ALL as CODES, POLICY_OVERRIDDEN};
pub use expected::federated;
pub use history::{History, LastKnown, Trend};
pub use limits::Limits;
use link::LinkForm;
pub use link::{Activity, Condition, LinkRef, LinkState, LinkStatus, described};
pub use links::{links, unexplained};
pub use reason::Reason;
pub use verdict::Verdict;

use codes::{ALARM, NO_METRICS, STREAM};
use expected::Expected;

use crate::{
    diagnostic::{Code, Diagnostic, Place},
    names::container,
    observed::{BrokerHealth, ContainerState, Federated, Observed, Snapshot},
    site::{Address, Unavailable},
    topology::{Region, RegionName, Service, Topology},
};

/// The version of the JSON format. Within a version, fields are only added.
const FORMAT_VERSION: u32 = 1;

/// Everything that `fedctl status` reports.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Status {
    /// The version of this format.
    pub version: u32,
    /// The project.
    pub project: String,
    /// Its regions, in the order of the file.
    pub regions: Vec<RegionStatus>,
    /// Its links.
    #[schemars(with = "Vec<LinkForm>")]
    pub links: Vec<LinkStatus>,
    /// What works, and is not as it should be.
    pub warnings: Vec<Diagnostic>,
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
    /// The code of the reason: `fedctl explain CODE` explains it.
    #[schemars(with = "Option<String>")]
    pub code: Option<Code>,
    /// RabbitMQ's version.
    pub version: Option<String>,
    /// Milliseconds since it started.
    pub uptime_ms: Option<u64>,
    /// Bytes of memory in use.
    pub memory_bytes: Option<u64>,
    /// The container's limit, in bytes; null if fedctl did not start the broker.
    pub memory_limit_bytes: Option<u64>,
    /// Alarms in effect; a broker with one blocks publishers. Null where the broker does not say.
    pub alarms: Option<Vec<String>>,
    /// The plugin that it lacks to report its links, if it does.
    pub missing_plugin: Option<String>,
    /// Where AMQP is reached, as `host:port`.
    pub amqp: Option<String>,
    /// Where the management API is reached, as `host:port`.
    pub management: Option<String>,
    /// The port in `amqp`.
    pub amqp_port: Option<u16>,
    /// The port in `management`.
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
    /// Its container is paused.
    Paused,
    /// It has no container.
    Missing,
}

/// A service's container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServiceStatus {
    /// The service's name.
    pub name: String,
    /// Whether its container runs.
    pub running: bool,
    /// Why it is not ready though it runs, as the service reports it.
    pub error: Option<String>,
    /// Its state as the engine reports it; none if it has no container.
    pub container: Option<String>,
    /// Published ports: host port by container port.
    pub ports: BTreeMap<u16, u16>,
}

impl Status {
    /// Whether every region answers without alarm, every service works, every expected link runs or is paused and no
    /// other, and none exceeds a limit.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.regions.iter().all(RegionStatus::is_healthy)
            && self.links.iter().all(LinkStatus::is_healthy)
            && self.over_limits().next().is_none()
    }

    /// How many links there are; none where no region answers and none was known before.
    #[must_use]
    pub fn count_links(&self) -> Option<LinkCounts> {
        let answers = self.regions.iter().any(|region| region.broker.state == BrokerState::Running);
        if self.links.is_empty() && !answers {
            return None;
        }
        let of = |wanted: LinkState| self.links.iter().filter(|link| link.state() == wanted).count();
        let unexpected = of(LinkState::Unexpected);
        Some(LinkCounts {
            expected: self.links.len() - unexpected,
            running: of(LinkState::Running),
            paused: of(LinkState::Paused),
            unknown: of(LinkState::Unknown),
            unexpected,
        })
    }

    /// What is wrong with brokers, whatever comes of it for links.
    #[must_use]
    pub fn brokers_in_trouble(&self) -> Vec<Diagnostic> {
        self.regions.iter().filter_map(RegionStatus::diagnostic).collect()
    }
}

/// How many links there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkCounts {
    /// Those that the topology requires, whoever answers.
    pub expected: usize,
    /// Those of them that run.
    pub running: usize,
    /// Those of them that are paused.
    pub paused: usize,
    /// Those of them whose state is unknown.
    pub unknown: usize,
    /// Those that brokers have besides.
    pub unexpected: usize,
}

impl RegionStatus {
    /// What is wrong with its broker.
    fn diagnostic(&self) -> Option<Diagnostic> {
        let place = Place::Broker { region: self.name.clone() };
        let BrokerStatus { code, error, alarms, .. } = &self.broker;
        match (code, error) {
            (Some(code), Some(error)) => Some(Diagnostic::new(*code, place, error)),
            (Some(code), None) => Some(Diagnostic::new(*code, place, "does not answer")),
            (None, _) => alarm(&self.name, alarms.as_ref()?),
        }
    }

    /// Whether its broker answers without alarm and its services work.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.broker.state == BrokerState::Running
            && self.broker.missing_plugin.is_none()
            && self.broker.alarms.as_ref().is_none_or(Vec::is_empty)
            && self.services.iter().all(ServiceStatus::is_healthy)
    }
}

impl ServiceStatus {
    /// Whether it runs and is ready, as far as it can be checked.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.running && self.error.is_none()
    }
}

/// The JSON schema of a [`Status`], for programs that read it.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Status).to_value()
}

/// Holds what was found against the topology. `remembered` is what was federated in each region before.
#[must_use]
pub fn status(topology: &Topology, found: &Snapshot<BrokerHealth>, remembered: &Federated) -> Status {
    Status {
        version: FORMAT_VERSION,
        project: topology.name.clone(),
        regions: topology.regions.iter().map(|region| region_status(topology, region, found)).collect(),
        links: links(topology, found, remembered),
        warnings: warnings(topology, found, remembered),
    }
}

/// The alarms of a region's broker, if it has any.
#[must_use]
pub fn alarm(region: &RegionName, alarms: &[String]) -> Option<Diagnostic> {
    if alarms.is_empty() {
        return None;
    }
    let place = Place::Broker { region: region.clone() };
    let message = format!("{} alarm: it takes no messages from publishers", alarms.join(" and "));
    Some(
        Diagnostic::new(ALARM, place, message).help(
            "let consumers catch up, or raise `memory` of `broker`; `fedctl queues` shows what fills it",
        ),
    )
}

fn warnings(topology: &Topology, found: &Snapshot<BrokerHealth>, remembered: &Federated) -> Vec<Diagnostic> {
    let expected = Expected::of(topology, found, remembered);
    let regions =
        topology.regions.iter().filter_map(|region| Some((&region.name, found.answer(&region.name)?)));
    let without_metrics = regions.clone().filter(|(_, health)| health.consumers.is_none());
    let without_metrics = without_metrics.map(|(region, _)| {
        let place = Place::Broker { region: region.clone() };
        Diagnostic::new(NO_METRICS, place, "collects no metrics: memory, uptime and consumers are not known")
            .help("remove `management_agent.disable_metrics_collector` from its configuration")
    });
    let streams = regions.flat_map(|(region, health)| {
        expected.matched_streams(health).map(move |name| {
            let place = Place::Queue { region: region.clone(), name: name.to_owned() };
            Diagnostic::new(
                STREAM,
                place,
                "is a stream that a policy matches, and RabbitMQ does not federate streams",
            )
            .help("narrow the policy's pattern, or rename the stream")
        })
    });
    without_metrics.chain(streams).collect()
}

fn region_status(topology: &Topology, region: &Region, found: &Snapshot<BrokerHealth>) -> RegionStatus {
    let services = region.services.iter().flat_map(Service::instances);
    RegionStatus {
        name: region.name.clone(),
        broker: broker_status(topology, region, found.brokers.get(&region.name)),
        services: services.map(|instance| service_status(topology, &region.name, instance, found)).collect(),
    }
}

fn broker_status(
    topology: &Topology,
    region: &Region,
    broker: Option<&Observed<BrokerHealth>>,
) -> BrokerStatus {
    let (state, error) = match broker.map(|broker| &broker.answer) {
        Some(Ok(_)) => (BrokerState::Running, None),
        None | Some(Err(Unavailable::Missing)) => (BrokerState::Missing, None),
        Some(Err(Unavailable::Stopped(status))) => (BrokerState::Stopped, Some(status.clone())),
        Some(Err(unavailable @ Unavailable::Paused)) => (BrokerState::Paused, Some(unavailable.to_string())),
        Some(Err(
            unavailable @ (Unavailable::NotPublished(_)
            | Unavailable::NoPassword
            | Unavailable::Unauthorized
            | Unavailable::Unresponsive(_)
            | Unavailable::OutOfReach(_)
            | Unavailable::PluginDisabled(_)
            | Unavailable::NoCredentials(_)
            | Unavailable::Rejected(_)
            | Unavailable::NoVhost(_)
            | Unavailable::Unreachable(_)),
        )) => (BrokerState::Unreachable, Some(unavailable.to_string())),
    };
    let health = broker.and_then(|broker| broker.answer.as_ref().ok());
    let site = broker.and_then(|broker| broker.site.as_ref());
    let missing_plugin = health.and_then(|health| health.links.as_ref().err().copied());
    let code = broker.and_then(|broker| broker.answer.as_ref().err()).map(Unavailable::code);
    let missing = missing_plugin.map(Unavailable::PluginDisabled);
    let (amqp, management) = (site.map(|site| &site.amqp), site.map(|site| &site.management));
    BrokerStatus {
        state,
        error: error.or_else(|| missing.as_ref().map(ToString::to_string)),
        code: code.or_else(|| missing.as_ref().map(Unavailable::code)),
        version: health.map(|health| health.version.clone()),
        uptime_ms: health.and_then(|health| health.uptime_ms),
        memory_bytes: health.and_then(|health| health.memory_used),
        memory_limit_bytes: region.broker.is_none().then_some(topology.broker.memory << 20),
        alarms: health.and_then(|health| health.alarms.clone()),
        missing_plugin: missing_plugin.map(|plugin| plugin.name().to_owned()),
        amqp: amqp.map(Address::to_string),
        management: management.map(Address::to_string),
        amqp_port: amqp.map(|address| address.port),
        management_port: management.map(|address| address.port),
    }
}

fn service_status(
    topology: &Topology,
    region: &RegionName,
    instance: String,
    found: &Snapshot<BrokerHealth>,
) -> ServiceStatus {
    let name = container(&topology.name, region, &instance);
    let container = found.engine.container(&name);
    ServiceStatus {
        name: instance,
        running: container.is_some_and(|found| found.state == ContainerState::Running),
        error: container.and_then(|_| found.not_ready.get(&name).cloned()),
        container: container.map(|found| found.status.clone()),
        ports: container.map(|found| found.ports.clone()).unwrap_or_default(),
    }
}
