//! The desired state of a topology: every network, volume, container, user, upstream and policy.

mod broker;
mod containers;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use containers::{COOKIE_FILE, DEFINITIONS, SERVICE_ID, readiness_checks, service_store};

use crate::{
    definition::{Permissions, Policy, Upstream},
    names::{APPLICATION, BROKER, COOKIE, PROJECT_LABEL, REGION_LABEL, container, lan, services_volume, wan},
    secret::Secret,
    site::ADMINISTRATOR,
    topology::{Catalogue, Port, Region, RegionName, Topology},
};

/// Where the service image holds fedctl.
pub const SERVICE_EXECUTABLE: &str = "/usr/bin/fedctl";
/// Processes and threads in a container: room for a broker's Erlang threads; a service needs far fewer.
pub const PIDS_LIMIT: u32 = 512;
/// The only other writable directory, and its mount options.
pub const TMPFS: (&str, &str) = ("/tmp", "rw,nosuid,nodev,noexec,size=64m");
/// The limits of a container's log.
pub const LOG_LIMITS: [(&str, &str); 2] = [("max-size", "10m"), ("max-file", "3")];
/// The option by which containers of a network reach each other and the host's published ports, and
/// nothing outside: without masquerading no answer from outside the host returns.
pub const NETWORK_OPTION: (&str, &str) = ("com.docker.network.bridge.enable_ip_masquerade", "false");

/// Everything that should exist.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The project's name.
    pub project: String,
    /// Whether this is all of the topology: then what is not in it is removed.
    pub whole: bool,
    /// The topology's file, which the project belongs to; none where it does not matter.
    pub owner: Option<Owner>,
    /// What becomes of internal queues of links that exist no more, if messages are in them.
    pub leftovers: Leftovers,
    /// Whether what brokers have already is taken over, though no project has recorded it as its own.
    pub adopt: bool,
    /// Upstreams whose last change may not have reached all of their links, since the `up` that made it was cut short.
    pub interrupted: BTreeSet<UpstreamId>,
    /// The reference of the image of the built-in services.
    pub service_image: String,
    /// Whether fedctl packs that image from its own executable; then its reference names its content.
    pub packs_service_image: bool,
    /// The networks.
    pub networks: Vec<Network>,
    /// The volumes.
    pub volumes: Vec<Volume>,
    /// The containers.
    pub containers: Vec<Container>,
    /// What the brokers should hold, a region each.
    pub brokers: Vec<Broker>,
}

/// An upstream: the region whose broker has it, and its name there.
pub type UpstreamId = (RegionName, String);

/// Whom a project belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The path of the topology's file.
    pub file: String,
    /// Whether the project is taken from another file that it belongs to.
    pub take_over: bool,
}

/// What becomes of the internal queues that links left with messages in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leftovers {
    /// Nothing is changed as long as there is one.
    #[default]
    Refuse,
    /// They stay, and nothing more is put into them.
    Keep,
    /// They are deleted.
    Discard,
}

/// A bridge network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A named volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A container, hardened alike for all: no capabilities, no new privileges, a read-only root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: RegionName,
    /// [`BROKER`] or the service's name.
    pub service: String,
    /// Which of the service's replicas it is; [`BROKER`] for a broker.
    pub instance: String,
    /// How to find out whether it is ready, if known.
    pub readiness: Option<Readiness>,
    /// The image's reference.
    pub image: String,
    /// The host name inside.
    pub hostname: String,
    /// The user, by name or `uid:gid`.
    pub user: String,
    /// The command; empty for the image's own.
    pub command: Vec<String>,
    /// The environment. Values are secret since one may be a URI with a password.
    pub environment: BTreeMap<String, Secret>,
    /// Directories of the volume that belong to the container's user.
    pub directories: Vec<String>,
    /// Files written into the volume before the container starts.
    pub files: Vec<File>,
    /// The only persistent writable directory.
    pub volume: Mount,
    /// The region's network.
    pub network: Attachment,
    /// The network between the regions, for brokers.
    pub wan: Option<Attachment>,
    /// Ports published on the host's loopback address.
    pub ports: Vec<Port>,
    /// The memory limit, in MiB.
    pub memory: u64,
    /// The limit of open files; the engine's own where absent.
    pub open_files: Option<u32>,
    /// Whether the engine's init process runs as process 1, for images of others.
    pub init: bool,
    /// Seconds the engine waits for a clean stop before it kills.
    pub stop_timeout: u32,
    /// Its labels, the fingerprint among them.
    pub labels: BTreeMap<String, String>,
}

impl Container {
    /// Whether a secret of its files is also in its environment.
    pub(crate) fn exposes_a_secret(&self) -> bool {
        self.environment.values().any(|value| self.files.iter().any(|file| file.content == *value))
    }
}

/// An HTTP request that succeeds once a container is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    pub path: String,
    /// The port in the container.
    pub port: u16,
}

/// Where a volume is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The volume's name.
    pub volume: String,
    /// The directory in the container.
    pub path: String,
}

/// A network that a container joins, and the name it has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The network's name.
    pub network: String,
    /// The container's name on it.
    pub alias: String,
}

/// A file in a container's volume, owned by the container's user and readable by no other user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path below the volume's mount.
    pub path: String,
    /// The content.
    pub content: Secret,
}

/// What a region's broker should hold.
#[derive(Debug, Clone)]
pub struct Broker {
    /// The region.
    pub region: RegionName,
    /// The broker's container; none if fedctl did not start it.
    pub container: Option<String>,
    /// The name by which federation knows this broker; without an explicit one every federated
    /// message costs a host-name lookup.
    pub cluster_name: String,
    /// The virtual host that the region is.
    pub vhost: String,
    /// The administrator's password; none if fedctl did not start it.
    pub password: Option<Secret>,
    /// The global parameter in which it is recorded what the project owns.
    pub parameter: String,
    /// Users by name, besides the administrator.
    pub users: BTreeMap<String, User>,
    /// Where this region's messages come from, by the upstream region's name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// What is federated, by the policy's name.
    pub policies: BTreeMap<String, Policy>,
    /// The regions that receive from this one, by the names that its internal queues have for them.
    pub downstreams: BTreeMap<String, RegionName>,
}

impl Broker {
    /// What its internal queues call a downstream.
    pub(crate) fn name_of(&self, downstream: &RegionName) -> Option<&str> {
        let named = self.downstreams.iter().find(|(_, region)| *region == downstream);
        named.map(|(name, _)| name.as_str())
    }
}

/// A user of a broker, and what it may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub password: Secret,
    /// Its permissions in the virtual host.
    pub permissions: Permissions,
    /// The region whose links connect as it, if that is what it is for.
    pub downstream: Option<RegionName>,
}

/// The passwords of a project, by region and user.
pub type Passwords = BTreeMap<PasswordId, Secret>;

/// Whose password.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PasswordId {
    /// The region whose broker knows the user.
    pub region: RegionName,
    /// The user, or [`COOKIE`].
    pub user: String,
}

impl PasswordId {
    fn new(region: &RegionName, user: impl Into<String>) -> Self {
        Self { region: region.clone(), user: user.into() }
    }
}

/// The passwords that a topology needs.
#[must_use]
pub fn passwords(topology: &Topology) -> Vec<PasswordId> {
    let started = topology.regions.iter().filter(|region| region.broker.is_none());
    let own = started.flat_map(|region| {
        [ADMINISTRATOR, APPLICATION, COOKIE].map(|user| PasswordId::new(&region.name, user))
    });
    let neighbours = topology.neighbours();
    let upstreams = topology.regions.iter().filter(|region| region.shared_link_user().is_none());
    let links = upstreams.flat_map(|upstream| {
        let downstreams = neighbours[&upstream.name].downstreams.iter();
        downstreams
            .map(|downstream| PasswordId::new(&upstream.name, topology.link_user(upstream, downstream)))
    });
    own.chain(links).collect()
}

/// Lowers a topology to its desired state.
///
/// `packed_image` is the reference of the image that fedctl packs if the topology names none.
///
/// # Panics
///
/// If `passwords` lacks one that [`passwords`] names.
#[must_use]
pub fn desired(
    topology: &Topology,
    catalogue: &Catalogue,
    passwords: &Passwords,
    packed_image: &str,
) -> Desired {
    let project = &topology.name;
    let service_image = topology.service_image.as_deref().unwrap_or(packed_image);
    let started = || topology.regions.iter().filter(|region| region.broker.is_none());
    let networks = started()
        .map(|region| Network {
            name: lan(project, &region.name),
            labels: labels(project, Some(&region.name)),
        })
        .chain(
            topology.has_containers().then(|| Network { name: wan(project), labels: labels(project, None) }),
        )
        .collect();
    let volumes = started()
        .flat_map(|region| {
            let services = (!region.services.is_empty()).then(|| services_volume(project, &region.name));
            [Some(container(project, &region.name, BROKER)), services]
                .into_iter()
                .flatten()
                .map(|name| Volume { name, labels: labels(project, Some(&region.name)) })
        })
        .collect();
    Desired {
        project: project.clone(),
        whole: true,
        owner: None,
        leftovers: Leftovers::default(),
        adopt: false,
        interrupted: BTreeSet::new(),
        service_image: service_image.to_owned(),
        packs_service_image: topology.service_image.is_none(),
        networks,
        volumes,
        containers: containers::containers(topology, catalogue, passwords, service_image),
        brokers: brokers(topology, passwords),
    }
}

/// What every region's broker should hold.
///
/// # Panics
///
/// If `passwords` lacks one that [`passwords`] names.
#[must_use]
pub fn brokers(topology: &Topology, passwords: &Passwords) -> Vec<Broker> {
    let (neighbours, max_hops) = (topology.neighbours(), topology.max_hops());
    let regions: BTreeMap<&RegionName, &Region> =
        topology.regions.iter().map(|region| (&region.name, region)).collect();
    let lowering = broker::Lowering { topology, passwords, max_hops, regions };
    topology.regions.iter().map(|region| lowering.broker(region, &neighbours[&region.name])).collect()
}

impl Desired {
    #[must_use]
    pub fn is_packed(&self, image: &str) -> bool {
        self.packs_service_image && self.service_image == image
    }

    /// Only what belongs to these regions, and the network between them. What belongs to others is not touched.
    #[must_use]
    pub fn only(mut self, regions: &[RegionName]) -> Self {
        let chosen = |labels: &BTreeMap<String, String>| {
            labels.get(REGION_LABEL).is_none_or(|label| regions.iter().any(|region| region.as_str() == label))
        };
        self.whole = false;
        self.networks.retain(|network| chosen(&network.labels));
        self.volumes.retain(|volume| chosen(&volume.labels));
        self.containers.retain(|container| chosen(&container.labels));
        self.brokers.retain(|broker| regions.contains(&broker.region));
        self
    }
}

fn labels(project: &str, region: Option<&RegionName>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([(PROJECT_LABEL.to_owned(), project.to_owned())]);
    if let Some(region) = region {
        labels.insert(REGION_LABEL.to_owned(), region.to_string());
    }
    labels
}

fn password<'a>(passwords: &'a Passwords, region: &RegionName, user: &str) -> &'a Secret {
    passwords
        .get(&PasswordId::new(region, user))
        .unwrap_or_else(|| panic!("no password for `{user}` in `{region}`"))
}
