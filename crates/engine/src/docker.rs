//! A Docker engine, in its own terms.

mod address;
mod body;
mod clock;
mod error;
mod facts;
mod image;
mod log;
mod platform;
mod ssh;
mod upload;

use std::{
    collections::{BTreeMap, HashMap},
    env,
    sync::Arc,
};

use address::{Origin, Transport};
use bollard::{
    API_DEFAULT_VERSION, Docker,
    exec::StartExecResults,
    models::{
        ContainerSummary, ContainerSummaryStateEnum, EndpointSettings, ExecConfig, NetworkConnectRequest,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
        ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
    },
};
use futures_util::TryStreamExt;

pub use address::{AddressError, EngineAddress};
pub use clock::Clock;
pub use error::{EngineError, Operation, Problem};
pub use image::Image;
pub use log::LogLine;
pub use platform::Platform;
use upload::Uploads;

use fedctl_model::{
    desired::{Attachment, Container, Network, Volume},
    names::PROJECT_LABEL,
    observed::{self, ContainerState, Object},
};

/// Seconds within which the engine must begin to answer. Above every container's stop timeout, since the
/// engine answers a stop request only when the container has stopped.
const TIMEOUT: u64 = 120;
/// The oldest API that fedctl works with: Docker 20.10.
const OLDEST_API: (u32, u32) = (1, 41);

type Result<T> = std::result::Result<T, EngineError>;

/// A connection to an engine.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    address: Arc<EngineAddress>,
    is_here: bool,
    /// What its containers run, if it was asked.
    platform: Option<Platform>,
    uploads: Uploads,
}

/// Whether a container is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    pub running: bool,
    /// How often the engine restarted it since it was last started on purpose.
    pub restarts: i64,
    /// Whether the kernel killed its process, since it needed more memory than the container may use.
    pub out_of_memory: bool,
    /// Published ports: host port by container port.
    pub ports: BTreeMap<u16, u16>,
}

impl Engine {
    /// The engine at `host`, or the one that `docker` would use. Nothing is sent yet.
    pub fn at(host: Option<&str>) -> Result<Self> {
        let address =
            EngineAddress::resolve(host, |name| env::var(name).ok()).map_err(EngineError::Address)?;
        let docker = docker(&address.transport).map_err(|source| {
            EngineError::new(Operation::Connect, &address.url, source).connecting(&address)
        })?;
        let is_here = address.is_here();
        Ok(Self { docker, address: Arc::new(address), is_here, platform: None, uploads: Uploads::default() })
    }

    /// No engine, for a project without a container. Nobody asks it.
    pub fn none() -> Result<Self> {
        let transport = Transport::Tcp { authority: "localhost:0".into(), certificates: None };
        let address =
            EngineAddress { url: "none".into(), transport, origin: Origin::Default, rootless: None };
        let docker = docker(&address.transport).map_err(|source| {
            EngineError::new(Operation::Connect, &address.url, source).connecting(&address)
        })?;
        Ok(Self {
            docker,
            address: Arc::new(address),
            is_here: true,
            platform: None,
            uploads: Uploads::default(),
        })
    }

    /// The engine at `host`, as above, after checking that it is new enough. That takes some milliseconds, so reports do without.
    pub async fn connect(host: Option<&str>) -> Result<Self> {
        let mut engine = Self::at(host)?;
        let found = engine.docker.version().await;
        let found = found.map_err(|source| {
            EngineError::new(Operation::Inspect, "engine", source).connecting(&engine.address)
        })?;
        engine.platform = Some(Platform::of(&found));
        let version = found.api_version.unwrap_or_default();
        let spoken = version.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        if spoken.is_none_or(|spoken: (u32, u32)| spoken < OLDEST_API) {
            return Err(EngineError::TooOld { host: engine.address.url.clone(), version });
        }
        Ok(engine)
    }

    /// Where it is, and how that was found out.
    #[must_use]
    pub fn address(&self) -> &EngineAddress {
        &self.address
    }

    /// Whether published ports can be reached from here: they are published on the engine's loopback address.
    pub fn check_ports(&self) -> Result<()> {
        if self.is_here { Ok(()) } else { Err(EngineError::Elsewhere(Arc::clone(&self.address))) }
    }

    /// All networks.
    pub async fn networks(&self) -> Result<Vec<Object>> {
        let options = ListNetworksOptionsBuilder::default().build();
        let networks = self.docker.list_networks(Some(options)).await;
        let networks = networks.map_err(|source| EngineError::new(Operation::List, "networks", source))?;
        Ok(networks
            .into_iter()
            .map(|network| Object {
                name: network.name.unwrap_or_default(),
                labels: network.labels.unwrap_or_default().into_iter().collect(),
            })
            .collect())
    }

    /// All volumes.
    pub async fn volumes(&self) -> Result<Vec<Object>> {
        let options = ListVolumesOptionsBuilder::default().build();
        let volumes = self.docker.list_volumes(Some(options)).await;
        let volumes = volumes.map_err(|source| EngineError::new(Operation::List, "volumes", source))?;
        Ok(volumes
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(|volume| Object { name: volume.name, labels: volume.labels.into_iter().collect() })
            .collect())
    }

    /// All containers, running or not, or only those with a label: `key=value`.
    pub async fn containers(&self, label: Option<&str>) -> Result<Vec<observed::Container>> {
        let filters = label.map(|label| HashMap::from([("label", vec![label])])).unwrap_or_default();
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let containers = self.docker.list_containers(Some(options)).await;
        // the first thing that a report asks
        let containers = containers.map_err(|source| {
            EngineError::new(Operation::List, "containers", source).connecting(&self.address)
        })?;
        let mut containers: Vec<_> = containers.into_iter().map(container).collect();
        containers.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(containers)
    }

    /// Creates a bridge network. An engine may have created two of that name, when a run was killed during the request
    /// and repeated: all but one are removed, and one that a container is attached to stays.
    pub async fn create_network(&self, network: &Network) -> Result<()> {
        if self.network_ids(&network.name).await?.is_empty() {
            let created = self.docker.create_network(body::network(network)).await;
            created.map_err(|source| EngineError::new(Operation::Create, &network.name, source))?;
        }
        let ids = self.network_ids(&network.name).await?;
        let mut left = ids.len();
        for id in ids {
            if left > 1 && self.docker.remove_network(&id).await.is_ok() {
                left -= 1;
            }
        }
        Ok(())
    }

    /// Removes a network and its duplicates. One that does not exist is not an error.
    pub async fn remove_network(&self, name: &str) -> Result<()> {
        for id in self.network_ids(name).await? {
            let removed = self.docker.remove_network(&id).await;
            absent_is_removed(removed.map_err(|source| EngineError::new(Operation::Remove, name, source)))?;
        }
        Ok(())
    }

    /// The ids of fedctl's networks of this name: by name an engine rejects a request that matches two.
    async fn network_ids(&self, name: &str) -> Result<Vec<String>> {
        let filters = HashMap::from([("label", vec![PROJECT_LABEL])]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let networks = self.docker.list_networks(Some(options)).await;
        let networks = networks.map_err(|source| EngineError::new(Operation::List, "networks", source))?;
        let named = networks.into_iter().filter(|network| network.name.as_deref() == Some(name));
        Ok(named.filter_map(|network| network.id).collect())
    }

    /// Creates a volume.
    pub async fn create_volume(&self, volume: &Volume) -> Result<()> {
        let created = self.docker.create_volume(body::volume(volume)).await;
        created.map(drop).map_err(|source| EngineError::new(Operation::Create, &volume.name, source))
    }

    /// Removes a volume and what is in it. One that does not exist is not an error.
    pub async fn remove_volume(&self, name: &str) -> Result<()> {
        let options = RemoveVolumeOptionsBuilder::default().build();
        let removed = self.docker.remove_volume(name, Some(options)).await;
        absent_is_removed(removed.map_err(|source| EngineError::new(Operation::Remove, name, source)))
    }

    /// Creates a container and does not start it.
    pub async fn create_container(&self, container: &Container) -> Result<()> {
        let options = CreateContainerOptionsBuilder::default().name(&container.name).build();
        let created = self.docker.create_container(Some(options), body::container(container)).await;
        created.map(drop).map_err(|source| EngineError::new(Operation::Create, &container.name, source))
    }

    /// Attaches a container to a network.
    pub async fn connect_network(&self, container: &str, attachment: &Attachment) -> Result<()> {
        let endpoint =
            EndpointSettings { aliases: Some(vec![attachment.alias.clone()]), ..EndpointSettings::default() };
        let request = NetworkConnectRequest { container: container.into(), endpoint_config: Some(endpoint) };
        let connected = self.docker.connect_network(&attachment.network, request).await;
        connected.map_err(|source| EngineError::new(Operation::Connect, container, source))
    }

    /// Starts a container. One that runs is not an error.
    pub async fn start(&self, name: &str) -> Result<()> {
        let started = self.docker.start_container(name, None).await;
        started.map_err(|source| EngineError::new(Operation::Start, name, source))
    }

    /// Resumes a paused container.
    pub async fn unpause(&self, name: &str) -> Result<()> {
        let unpaused = self.docker.unpause_container(name).await;
        unpaused.map_err(|source| EngineError::new(Operation::Unpause, name, source))
    }

    /// Stops a container cleanly, within its own stop timeout. One that does not exist or is stopped is not an error.
    pub async fn stop(&self, name: &str) -> Result<()> {
        let options = None::<bollard::query_parameters::StopContainerOptions>;
        let stopped = self.docker.stop_container(name, options).await;
        absent_is_removed(stopped.map_err(|source| EngineError::new(Operation::Stop, name, source)))
    }

    /// Removes a container. One that does not exist is not an error, and one that runs is stopped first: a run that was
    /// killed may have asked the engine to start it.
    pub async fn remove_container(&self, name: &str) -> Result<()> {
        match self.remove_stopped(name).await {
            Err(error) if error.problem() == Problem::Running => {
                self.stop(name).await?;
                self.remove_stopped(name).await
            }
            removed => removed,
        }
    }

    async fn remove_stopped(&self, name: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::default().v(true).build();
        let removed = self.docker.remove_container(name, Some(options)).await;
        absent_is_removed(removed.map_err(|source| EngineError::new(Operation::Remove, name, source)))
    }

    /// Runs a command in a container until it ends.
    ///
    /// # Errors
    ///
    /// [`EngineError::Command`] with what it printed, if it fails.
    pub async fn execute(&self, container: &str, command: &[&str]) -> Result<()> {
        let error = |source| EngineError::new(Operation::Execute, container, source);
        let exec = ExecConfig {
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let id = self.docker.create_exec(container, exec).await.map_err(error)?.id;
        let mut printed = String::new();
        if let StartExecResults::Attached { mut output, .. } =
            self.docker.start_exec(&id, None).await.map_err(error)?
        {
            while let Some(chunk) = output.try_next().await.map_err(error)? {
                printed.push_str(&chunk.to_string());
            }
        }
        match self.docker.inspect_exec(&id).await.map_err(error)?.exit_code {
            Some(0) => Ok(()),
            code => Err(EngineError::Command {
                container: container.to_owned(),
                command: command.join(" "),
                code,
                printed: printed.trim().to_owned(),
            }),
        }
    }

    /// Whether a container is up, and where its ports are published.
    pub async fn liveness(&self, name: &str) -> Result<Liveness> {
        let found = self.docker.inspect_container(name, None).await;
        let found = found.map_err(|source| EngineError::new(Operation::Inspect, name, source))?;
        let state = found.state.unwrap_or_default();
        let ports = found.network_settings.and_then(|settings| settings.ports).unwrap_or_default();
        let published = ports.into_iter().filter_map(|(port, bindings)| {
            let host = bindings?.into_iter().find_map(|binding| binding.host_port?.parse().ok())?;
            Some((port.strip_suffix("/tcp")?.parse().ok()?, host))
        });
        Ok(Liveness {
            running: state.running.unwrap_or_default(),
            restarts: found.restart_count.unwrap_or_default(),
            out_of_memory: state.oom_killed.unwrap_or_default(),
            ports: published.collect(),
        })
    }
}

fn docker(transport: &Transport) -> std::result::Result<Docker, bollard::errors::Error> {
    match transport {
        Transport::Unix(path) => {
            Docker::connect_with_unix(&path.to_string_lossy(), TIMEOUT, API_DEFAULT_VERSION)
        }
        Transport::Tcp { authority, certificates: None } => {
            Docker::connect_with_http(authority, TIMEOUT, API_DEFAULT_VERSION)
        }
        Transport::Tcp { authority, certificates: Some(directory) } => {
            let [key, cert, ca] = ["key.pem", "cert.pem", "ca.pem"].map(|file| directory.join(file));
            Docker::connect_with_ssl(authority, &key, &cert, &ca, TIMEOUT, API_DEFAULT_VERSION)
        }
        Transport::Ssh(destination) => {
            let arguments = destination.arguments();
            let carry = move |request| ssh::carry(request, arguments.clone());
            Docker::connect_with_custom_transport(carry, Some("ssh://docker"), TIMEOUT, API_DEFAULT_VERSION)
        }
    }
}

/// Removing what does not exist, or is already being removed, succeeds.
fn absent_is_removed(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if matches!(error.problem(), Problem::NotFound | Problem::RemovalInProgress) => Ok(()),
        result => result,
    }
}

fn container(summary: ContainerSummary) -> observed::Container {
    let name = summary.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    let ports = summary.ports.unwrap_or_default();
    let networks = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    observed::Container {
        name: name.trim_start_matches('/').to_owned(),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
        state: match summary.state {
            Some(ContainerSummaryStateEnum::CREATED) => ContainerState::Created,
            Some(ContainerSummaryStateEnum::RUNNING) => ContainerState::Running,
            Some(ContainerSummaryStateEnum::PAUSED) => ContainerState::Paused,
            Some(ContainerSummaryStateEnum::RESTARTING) => ContainerState::Restarting,
            _ => ContainerState::Stopped,
        },
        status: summary.status.unwrap_or_default(),
        image_id: summary.image_id.unwrap_or_default(),
        networks: networks
            .into_iter()
            .map(|(network, endpoint)| (network, endpoint.ip_address.unwrap_or_default()))
            .collect(),
        ports: ports.iter().filter_map(|port| Some((port.private_port, port.public_port?))).collect(),
    }
}
