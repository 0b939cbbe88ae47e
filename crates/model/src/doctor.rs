//! What may keep a project from working, looked for before and after it fails: the engine, the machine, the brokers, and
//! what is left of other projects.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    counted::counted,
    desired::{Desired, Owner},
    names::{BROKER, PROJECT_LABEL, TOPOLOGY_LABEL, container, owner_volume},
    observed::{EngineState, Plugin},
    plan::conflict,
    status::{BrokerState, BrokerStatus, Status},
    topology::Topology,
};

/// The version of the JSON format. Within a version, fields are only added.
const FORMAT_VERSION: u32 = 1;
/// Below this much free disk space an engine soon fails to create anything, and brokers raise their disk alarm.
const LITTLE_DISK: u64 = 2 << 30;
/// Clocks that differ by more make times in logs misleading.
const CLOCK_TOLERANCE_SECONDS: f64 = 2.0;

/// What `fedctl doctor` reports.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Doctor {
    /// The version of this format.
    pub version: u32,
    /// The project.
    pub project: String,
    /// The checks, in a fixed order.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// What it is about: `engine`, `machine`, `images`, `ports`, `project`, `brokers`, `orphans`.
    pub group: String,
    /// How it went.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It could not be found out.
    Unknown,
    /// It works, and may not for long.
    Warning,
    /// It does not work.
    Bad,
}

/// What an engine says of itself.
#[derive(Debug, Clone, Default)]
pub struct EngineFacts {
    /// Where it is, and how that was chosen.
    pub address: String,
    /// Its version.
    pub version: String,
    /// The version of its API.
    pub api: String,
    /// Processors.
    pub processors: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Free bytes where it keeps its data, if that is on this machine.
    pub free_disk: Option<u64>,
    /// Seconds by which its clock is ahead of this machine's.
    pub clock_ahead: f64,
}

/// Everything that the checks are made from.
pub struct Facts<'a> {
    /// The topology.
    pub topology: &'a Topology,
    /// What it requires.
    pub desired: &'a Desired,
    /// Whose the project is.
    pub owner: &'a Owner,
    /// What the engine says of itself.
    pub engine: EngineFacts,
    /// What the engine has.
    pub found: &'a EngineState,
    /// The status of the project.
    pub status: &'a Status,
    /// The ports of this machine's loopback address that something listens on, of those that the topology names.
    pub taken_ports: BTreeSet<u16>,
    /// Topology files, named by other projects on the engine, that are not there.
    pub missing_files: BTreeSet<String>,
}

impl Doctor {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.verdict != Verdict::Bad)
    }
}

/// The JSON schema of a [`Doctor`], for programs that read it.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Doctor).to_value()
}

/// Checks everything, whatever fails.
#[must_use]
pub fn doctor(facts: &Facts<'_>) -> Doctor {
    let groups = [
        engine(facts),
        machine(facts),
        images(facts),
        ports(facts),
        project(facts),
        brokers(facts),
        orphans(facts),
    ];
    Doctor {
        version: FORMAT_VERSION,
        project: facts.topology.name.clone(),
        checks: groups.into_iter().flatten().collect(),
    }
}

fn check(group: &str, verdict: Verdict, text: impl Into<String>) -> Check {
    Check { group: group.to_owned(), verdict, text: text.into(), help: None }
}

impl Check {
    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

fn engine(facts: &Facts<'_>) -> Vec<Check> {
    let EngineFacts { address, version, api, .. } = &facts.engine;
    vec![check("engine", Verdict::Good, format!("Docker {version}, API {api}, at {address}"))]
}

fn machine(facts: &Facts<'_>) -> Vec<Check> {
    let EngineFacts { processors, memory, free_disk, clock_ahead, .. } = &facts.engine;
    let wanted: u64 = facts.desired.containers.iter().map(|container| container.memory).sum();
    let text = format!(
        "{}, {} MiB of memory; the project's containers may use {wanted} MiB",
        counted(*processors, "processor"),
        memory >> 20
    );
    let memory = if wanted > memory >> 20 {
        check("machine", Verdict::Warning, text)
            .help("lower `memory` of `broker`, or run fewer regions on this engine")
    } else {
        check("machine", Verdict::Good, text)
    };
    let disk = match free_disk {
        None => check(
            "machine",
            Verdict::Unknown,
            "free disk space of the engine is not known: it is not on this machine",
        ),
        Some(free) if *free < LITTLE_DISK => check(
            "machine",
            Verdict::Warning,
            format!("{} MiB of disk space are free for the engine", free >> 20),
        )
        .help("free some: docker system df, docker system prune"),
        Some(free) => check(
            "machine",
            Verdict::Good,
            format!("{} GiB of disk space are free for the engine", free >> 30),
        ),
    };
    let clock = if clock_ahead.abs() > CLOCK_TOLERANCE_SECONDS {
        let direction = if *clock_ahead > 0.0 { "ahead of" } else { "behind" };
        let text = format!("the engine's clock is {:.0} s {direction} this machine's", clock_ahead.abs());
        check("machine", Verdict::Warning, text)
            .help("times in logs are the engine's; synchronise the clocks")
    } else {
        check("machine", Verdict::Good, "the engine's clock agrees with this machine's")
    };
    vec![memory, disk, clock]
}

fn images(facts: &Facts<'_>) -> Vec<Check> {
    let wanted: BTreeSet<&str> =
        facts.desired.containers.iter().map(|container| container.image.as_str()).collect();
    let image = |reference: &str| {
        if facts.found.images.contains_key(reference) {
            check("images", Verdict::Good, format!("{reference} is on the engine"))
        } else {
            let how =
                if facts.desired.is_packed(reference) { "packed from fedctl" } else { "pulled, or built" };
            check(
                "images",
                Verdict::Good,
                format!("{reference} is not on the engine yet: `fedctl up` has it {how}"),
            )
        }
    };
    wanted.into_iter().map(image).collect()
}

fn ports(facts: &Facts<'_>) -> Vec<Check> {
    let fixed: BTreeMap<u16, &str> = facts
        .desired
        .containers
        .iter()
        .flat_map(|container| {
            container.ports.iter().filter_map(|port| Some((port.host?, container.name.as_str())))
        })
        .collect();
    let publisher = |port: u16| {
        facts.found.containers.iter().find(|found| found.ports.values().any(|published| *published == port))
    };
    let taken = fixed.iter().filter_map(|(port, name)| match publisher(*port) {
        Some(found) if found.name == *name => None,
        Some(found) => Some((*port, *name, format!("container {}", found.name))),
        None => facts.taken_ports.contains(port).then(|| (*port, *name, "another program".to_owned())),
    });
    let mut checks: Vec<Check> = taken
        .map(|(port, name, by)| {
            check("ports", Verdict::Bad, format!("port {port}, which {name} needs, is taken by {by}"))
                .help("free the port, or choose another in the topology; without one the engine chooses")
        })
        .collect();
    if checks.is_empty() {
        let text = if fixed.is_empty() {
            "the engine chooses all ports".to_owned()
        } else {
            format!("{} of the topology can be published", counted(fixed.len(), "port"))
        };
        checks.push(check("ports", Verdict::Good, text));
    }
    checks
}

fn project(facts: &Facts<'_>) -> Vec<Check> {
    let name = &facts.topology.name;
    if let Some(conflict) = conflict(name, facts.owner, facts.found) {
        let found = check("project", Verdict::Bad, conflict.to_string());
        return vec![Check { help: conflict.help, ..found }];
    }
    let of_project = facts.found.containers.iter();
    let of_project = of_project.filter(|found| found.labels.get(PROJECT_LABEL) == Some(name)).count();
    let text = if of_project == 0 {
        format!("`{name}` has no containers: `fedctl up` creates them")
    } else {
        format!("`{name}` has {} of {}", of_project, counted(facts.desired.containers.len(), "container"))
    };
    vec![check("project", Verdict::Good, text)]
}

fn brokers(facts: &Facts<'_>) -> Vec<Check> {
    let regions = facts.status.regions.iter().filter(|region| {
        let name = container(&facts.topology.name, &region.name, BROKER);
        facts.found.container(&name).is_some()
    });
    regions
        .map(|region| {
            let name = &region.name;
            let BrokerStatus { state, error, version, alarms, missing_plugin, .. } = &region.broker;
            match (state, missing_plugin, alarms.as_deref()) {
                (BrokerState::Running, Some(plugin), _) => {
                    check("brokers", Verdict::Bad, format!("{name}: plugin `{plugin}` is not enabled")).help(
                        format!(
                            "fedctl up, or: docker exec {} rabbitmq-plugins enable {plugin}",
                            container(&facts.topology.name, name, BROKER)
                        ),
                    )
                }
                (BrokerState::Running, None, Some([])) => {
                    let plugins = Plugin::ALL.map(Plugin::name).join(", ");
                    let version = version.as_deref().unwrap_or("of unknown version");
                    check(
                        "brokers",
                        Verdict::Good,
                        format!("{name}: RabbitMQ {version}, no alarm, with {plugins}"),
                    )
                }
                (BrokerState::Running, None, None) => check(
                    "brokers",
                    Verdict::Unknown,
                    format!("{name}: it does not say whether it has an alarm"),
                ),
                (BrokerState::Running, None, Some(alarms)) => {
                    check("brokers", Verdict::Bad, format!("{name}: {} alarm", alarms.join(" and ")))
                        .help("let consumers catch up, or raise `memory` of `broker`")
                }
                (
                    BrokerState::Unreachable
                    | BrokerState::Stopped
                    | BrokerState::Paused
                    | BrokerState::Missing,
                    ..,
                ) => {
                    let error = error.as_deref().unwrap_or("no reason is known");
                    check("brokers", Verdict::Bad, format!("{name}: {error}"))
                        .help("`fedctl up` starts and unpauses brokers; `fedctl logs REGION broker` shows why one fails")
                }
            }
        })
        .collect()
}

/// Projects on the engine whose topology file is gone.
fn orphans(facts: &Facts<'_>) -> Vec<Check> {
    let owners = facts.found.volumes.iter().filter_map(|volume| {
        let (project, file) = (volume.labels.get(PROJECT_LABEL)?, volume.labels.get(TOPOLOGY_LABEL)?);
        (volume.name == owner_volume(project) && *project != facts.topology.name).then_some((project, file))
    });
    let orphans: Vec<Check> = owners
        .filter(|(_, file)| facts.missing_files.contains(*file))
        .map(|(project, file)| {
            let labelled = |labels: &BTreeMap<String, String>| labels.get(PROJECT_LABEL) == Some(project);
            let containers = facts.found.containers.iter().filter(|found| labelled(&found.labels)).count();
            let volumes = facts.found.volumes.iter().filter(|found| labelled(&found.labels)).count();
            let text = format!(
                "project `{project}` has {} and {}, and its file `{file}` is not there",
                counted(containers, "container"),
                counted(volumes, "volume")
            );
            check("orphans", Verdict::Warning, text).help(format!(
                "fedctl down --project {project} --take-over; with its data: --volumes --confirm {project}"
            ))
        })
        .collect();
    if orphans.is_empty() {
        vec![check("orphans", Verdict::Good, "no other project has lost its topology file")]
    } else {
        orphans
    }
}
