//! A Docker engine, in its own terms.

mod body;
mod error;

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    pin::Pin,
};

use bollard::{
    Docker, body_full, body_try_stream,
    container::LogOutput,
    models::{ContainerSummary, ContainerSummaryStateEnum, EndpointSettings, NetworkConnectRequest},
    query_parameters::{
        CreateContainerOptionsBuilder, CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder,
        ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder,
        ListVolumesOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
        RemoveImageOptionsBuilder, RemoveVolumeOptionsBuilder, UploadToContainerOptionsBuilder,
    },
};
use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio_util::bytes::Bytes;

pub use error::{EngineError, Operation};

use crate::{
    desired::{Attachment, Container, Network, Volume},
    observed::{self, ContainerState, Object},
};

/// Seconds until the engine must have begun to answer. Above every container's stop timeout, since the
/// engine answers a stop only when the container has stopped.
const TIMEOUT: u64 = 120;
/// The oldest API that fedctl works with: Docker 20.10.
const OLDEST_API: (u32, u32) = (1, 41);

type Result<T> = std::result::Result<T, EngineError>;

/// A connection to an engine.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
}

/// How a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether it runs.
    pub running: bool,
    /// How often the engine started it anew since it was last started on purpose.
    pub restarts: i64,
    /// Where the port that was asked for is published.
    pub port: Option<u16>,
}

/// A line of a container's output.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// When the engine received it, RFC 3339.
    pub at: String,
    /// The line.
    pub text: String,
}

impl Engine {
    /// Connects to the engine at `host`, or at the default socket, and makes sure that it answers and
    /// is new enough.
    ///
    /// # Errors
    ///
    /// If no engine answers there, it refuses this user, or its API is older than 1.41.
    pub async fn connect(host: Option<&str>) -> Result<Self> {
        let shown = host.unwrap_or("unix:///var/run/docker.sock").to_owned();
        let error = |source| EngineError::new(Operation::Connect, &shown, source);
        let mut docker = match host {
            Some(host) => Docker::connect_with_host(host),
            None => Docker::connect_with_unix_defaults(),
        }
        .map_err(error)?;
        docker.set_timeout(std::time::Duration::from_secs(TIMEOUT));
        let version = docker.version().await.map_err(error)?.api_version.unwrap_or_default();
        let spoken = version.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        if spoken.is_none_or(|spoken: (u32, u32)| spoken < OLDEST_API) {
            return Err(EngineError::too_old(&shown, &version));
        }
        Ok(Self { docker })
    }

    /// All networks.
    ///
    /// # Errors
    ///
    /// If the engine fails.
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
    ///
    /// # Errors
    ///
    /// If the engine fails.
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

    /// All containers, running or not.
    ///
    /// # Errors
    ///
    /// If the engine fails.
    pub async fn containers(&self) -> Result<Vec<observed::Container>> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let containers = self.docker.list_containers(Some(options)).await;
        let containers =
            containers.map_err(|source| EngineError::new(Operation::List, "containers", source))?;
        Ok(containers.into_iter().map(container).collect())
    }

    /// The id of the image with this reference; none where the engine has none.
    ///
    /// # Errors
    ///
    /// If the engine fails.
    pub async fn image(&self, reference: &str) -> Result<Option<String>> {
        let image = self.docker.inspect_image(reference).await;
        match image.map_err(|source| EngineError::new(Operation::Inspect, reference, source)) {
            Ok(image) => Ok(image.id),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The references of all images that carry `label`.
    ///
    /// # Errors
    ///
    /// If the engine fails.
    pub async fn images_labelled(&self, label: &str) -> Result<Vec<String>> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let images = self.docker.list_images(Some(options)).await;
        let images = images.map_err(|source| EngineError::new(Operation::List, "images", source))?;
        Ok(images.into_iter().flat_map(|image| image.repo_tags).collect())
    }

    /// Pulls an image from its registry; `progress` is told in words how far it is.
    ///
    /// # Errors
    ///
    /// If the registry or the engine fails.
    pub async fn pull(&self, reference: &str, progress: impl Fn(String)) -> Result<()> {
        let error = |source| EngineError::new(Operation::Pull, reference, source);
        // a reference without a tag would pull every tag
        let tagged = reference.rsplit('/').next().is_some_and(|name| name.contains([':', '@']));
        let options = CreateImageOptionsBuilder::default().from_image(reference);
        let options = if tagged { options.build() } else { options.tag("latest").build() };
        let mut answers = self.docker.create_image(Some(options), None, None);
        let mut layers: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        while let Some(answer) = answers.try_next().await.map_err(error)? {
            if let (Some(id), Some(detail)) = (answer.id, answer.progress_detail) {
                layers.insert(id, (detail.current.unwrap_or(0), detail.total.unwrap_or(0)));
                let (done, all) =
                    layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
                progress(format!("pulling, {} of {} MiB", done >> 20, all >> 20));
            }
        }
        Ok(())
    }

    /// Makes an image of one layer from the tar that `layer` yields.
    ///
    /// # Errors
    ///
    /// If the stream ends in an error, the engine's disk is full, or the engine fails otherwise.
    pub async fn import(
        &self,
        reference: &str,
        changes: Vec<String>,
        layer: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<()> {
        let (repository, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(repository)
            .tag(tag)
            .changes(changes)
            .build();
        let answers = self.docker.create_image(Some(options), Some(body_try_stream(layer)), None);
        answers
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(|source| EngineError::new(Operation::Import, reference, source))
    }

    /// Removes an image's reference, and the image with its last one. One that is gone is no error.
    ///
    /// # Errors
    ///
    /// If a container uses it, or the engine fails.
    pub async fn remove_image(&self, reference: &str) -> Result<()> {
        let options = RemoveImageOptionsBuilder::default().build();
        let removed = self.docker.remove_image(reference, Some(options), None).await.map(drop);
        gone(removed.map_err(|source| EngineError::new(Operation::Remove, reference, source)))
    }

    /// Creates a bridge network.
    ///
    /// # Errors
    ///
    /// If the engine fails, for example because it has no address range left.
    pub async fn create_network(&self, network: &Network) -> Result<()> {
        let created = self.docker.create_network(body::network(network)).await;
        created.map(drop).map_err(|source| EngineError::new(Operation::Create, &network.name, source))
    }

    /// Removes a network. One that is gone is no error.
    ///
    /// # Errors
    ///
    /// If a container is attached to it, or the engine fails.
    pub async fn remove_network(&self, name: &str) -> Result<()> {
        let removed = self.docker.remove_network(name).await;
        gone(removed.map_err(|source| EngineError::new(Operation::Remove, name, source)))
    }

    /// Creates a volume.
    ///
    /// # Errors
    ///
    /// If the engine fails.
    pub async fn create_volume(&self, volume: &Volume) -> Result<()> {
        let created = self.docker.create_volume(body::volume(volume)).await;
        created.map(drop).map_err(|source| EngineError::new(Operation::Create, &volume.name, source))
    }

    /// Removes a volume and what is in it. One that is gone is no error.
    ///
    /// # Errors
    ///
    /// If a container uses it, or the engine fails.
    pub async fn remove_volume(&self, name: &str) -> Result<()> {
        let options = RemoveVolumeOptionsBuilder::default().build();
        let removed = self.docker.remove_volume(name, Some(options)).await;
        gone(removed.map_err(|source| EngineError::new(Operation::Remove, name, source)))
    }

    /// Creates a container and does not start it.
    ///
    /// # Errors
    ///
    /// If its image is not there or its name is taken, or the engine fails.
    pub async fn create_container(&self, container: &Container) -> Result<()> {
        let options = CreateContainerOptionsBuilder::default().name(&container.name).build();
        let created = self.docker.create_container(Some(options), body::container(container)).await;
        created.map(drop).map_err(|source| EngineError::new(Operation::Create, &container.name, source))
    }

    /// Writes files into a container's volume, owned by its user and readable by nobody else.
    ///
    /// # Errors
    ///
    /// If the image does not know the user, or the engine fails.
    pub async fn upload(&self, container: &Container) -> Result<()> {
        let name = &container.name;
        let owner = match numeric_owner(&container.user) {
            Some(owner) => owner,
            None => self.owner(name, &container.user).await?,
        };
        let tar = files_tar(container, owner)
            .map_err(|source| EngineError::new(Operation::Upload, name, source.into()))?;
        let options = UploadToContainerOptionsBuilder::default().path(&container.volume.path).build();
        let uploaded = self.docker.upload_to_container(name, Some(options), body_full(tar.into())).await;
        uploaded.map_err(|source| EngineError::new(Operation::Upload, name, source))
    }

    /// The ids of a user that the image of a container knows by name.
    async fn owner(&self, container: &str, user: &str) -> Result<(u64, u64)> {
        let error = |source| EngineError::new(Operation::Upload, container, source);
        let options = DownloadFromContainerOptionsBuilder::default().path("/etc/passwd").build();
        let tar: Vec<Bytes> = self
            .docker
            .download_from_container(container, Some(options))
            .try_collect()
            .await
            .map_err(error)?;
        let mut passwd = String::new();
        let tar = tar.concat();
        if let Some(Ok(mut file)) =
            tar::Archive::new(&tar[..]).entries().ok().and_then(|mut entries| entries.next())
        {
            file.read_to_string(&mut passwd).map_err(|source| error(source.into()))?;
        }
        passwd_owner(&passwd, user).ok_or_else(|| EngineError::no_such_user(container, user))
    }

    /// Attaches a container to a network.
    ///
    /// # Errors
    ///
    /// If either is not there, or the engine fails.
    pub async fn connect_network(&self, container: &str, attachment: &Attachment) -> Result<()> {
        let endpoint =
            EndpointSettings { aliases: Some(vec![attachment.alias.clone()]), ..EndpointSettings::default() };
        let request = NetworkConnectRequest { container: container.into(), endpoint_config: Some(endpoint) };
        let connected = self.docker.connect_network(&attachment.network, request).await;
        connected.map_err(|source| EngineError::new(Operation::Connect, container, source))
    }

    /// Starts a container. One that runs is no error.
    ///
    /// # Errors
    ///
    /// If a port is taken, a limit is above the engine's own, or the engine fails.
    pub async fn start(&self, name: &str) -> Result<()> {
        let started = self.docker.start_container(name, None).await;
        started.map_err(|source| EngineError::new(Operation::Start, name, source))
    }

    /// Lets a frozen container go on.
    ///
    /// # Errors
    ///
    /// If it is not frozen, or the engine fails.
    pub async fn unpause(&self, name: &str) -> Result<()> {
        let unpaused = self.docker.unpause_container(name).await;
        unpaused.map_err(|source| EngineError::new(Operation::Unpause, name, source))
    }

    /// Stops a container cleanly, within its own stop timeout. One that is gone or stopped is no error.
    ///
    /// # Errors
    ///
    /// If the engine fails.
    pub async fn stop(&self, name: &str) -> Result<()> {
        let options = None::<bollard::query_parameters::StopContainerOptions>;
        let stopped = self.docker.stop_container(name, options).await;
        gone(stopped.map_err(|source| EngineError::new(Operation::Stop, name, source)))
    }

    /// Removes a stopped container. One that is gone is no error.
    ///
    /// # Errors
    ///
    /// If it runs, or the engine fails.
    pub async fn remove_container(&self, name: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::default().v(true).build();
        let removed = self.docker.remove_container(name, Some(options)).await;
        gone(removed.map_err(|source| EngineError::new(Operation::Remove, name, source)))
    }

    /// Whether a container is up, and where `port` is published.
    ///
    /// # Errors
    ///
    /// If the container is not there, or the engine fails.
    pub async fn health(&self, name: &str, port: u16) -> Result<Health> {
        let found = self.docker.inspect_container(name, None).await;
        let found = found.map_err(|source| EngineError::new(Operation::Inspect, name, source))?;
        let state = found.state.unwrap_or_default();
        let ports = found.network_settings.and_then(|settings| settings.ports).unwrap_or_default();
        let bindings = ports.get(&format!("{port}/tcp")).cloned().flatten().unwrap_or_default();
        Ok(Health {
            running: state.running.unwrap_or_default(),
            restarts: found.restart_count.unwrap_or_default(),
            port: bindings.into_iter().find_map(|binding| binding.host_port?.parse().ok()),
        })
    }

    /// A container's output, from `since` (seconds of Unix time) on, or only its last `tail` lines.
    #[must_use]
    pub fn logs(
        &self,
        name: &str,
        since: Option<i32>,
        tail: Option<usize>,
        follow: bool,
    ) -> Pin<Box<dyn Stream<Item = Result<LogLine>> + Send>> {
        let mut options =
            LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true).follow(follow);
        if let Some(since) = since {
            options = options.since(since);
        }
        if let Some(tail) = tail {
            options = options.tail(&tail.to_string());
        }
        let subject = name.to_owned();
        let lines = self.docker.logs(name, Some(options.build()));
        Box::pin(lines.map(move |line| {
            line.map(log_line).map_err(|source| EngineError::new(Operation::ReadLogs, &subject, source))
        }))
    }
}

fn log_line(output: LogOutput) -> LogLine {
    let line = output.into_bytes();
    let line = String::from_utf8_lossy(&line);
    let (at, text) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
    LogLine { at: at.to_owned(), text: text.to_owned() }
}

/// What was to be taken away and is not there is as good as taken away, and so is what somebody else is
/// just taking away.
fn gone(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_not_found() || error.is_removal_in_progress() => Ok(()),
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
        networks: networks.into_keys().collect(),
        ports: ports.iter().filter_map(|port| Some((port.private_port, port.public_port?))).collect(),
    }
}

fn numeric_owner(user: &str) -> Option<(u64, u64)> {
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

fn passwd_owner(passwd: &str, user: &str) -> Option<(u64, u64)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == user;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        found.then_some((uid, gid))
    })
}

fn files_tar(container: &Container, (uid, gid): (u64, u64)) -> std::io::Result<Vec<u8>> {
    let header = |mode: u32, kind: tar::EntryType, size: usize| {
        let mut header = tar::Header::new_ustar();
        header.set_mode(mode);
        header.set_uid(uid);
        header.set_gid(gid);
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header
    };
    let mut tar = tar::Builder::new(Vec::new());
    for directory in &container.directories {
        tar.append_data(&mut header(0o750, tar::EntryType::Directory, 0), directory, std::io::empty())?;
    }
    for file in &container.files {
        let content = file.content.expose().as_bytes();
        tar.append_data(&mut header(0o400, tar::EntryType::Regular, content.len()), &file.path, content)?;
    }
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_in_the_images_own_list() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nrabbitmq:x:999:998::/var/lib/rabbitmq:/bin/sh\n";
        assert_eq!(passwd_owner(passwd, "rabbitmq"), Some((999, 998)));
        assert_eq!(passwd_owner(passwd, "nobody"), None);
        assert_eq!(numeric_owner("10001:10002"), Some((10001, 10002)));
        assert_eq!(numeric_owner("rabbitmq"), None);
    }
}
