//! What the engine reports about a container.

use std::collections::HashMap;

use anyhow::{Context, Result};
use bollard::{
    Docker,
    query_parameters::{ListImagesOptionsBuilder, StatsOptionsBuilder},
};
use futures_util::StreamExt;

/// A connection to the engine.
pub struct Engine {
    docker: Docker,
    version: String,
}

/// What a container has used so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Seconds of processor time.
    pub cpu: f64,
    /// MiB of memory, without the files that the kernel can forget.
    pub memory: f64,
}

impl Engine {
    pub async fn connect() -> Result<Self> {
        let docker = Docker::connect_with_defaults()?;
        let version = docker.version().await?.version.unwrap_or_default();
        Ok(Self { docker, version })
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// An image of this repository, whatever its tag.
    pub async fn image(&self, repository: &str) -> Result<Option<String>> {
        let filters = HashMap::from([("reference", vec![format!("{repository}:*")])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let images = self.docker.list_images(Some(options)).await?;
        Ok(images.into_iter().flat_map(|image| image.repo_tags).next())
    }

    /// Where a port of a container is published.
    pub async fn port(&self, container: &str, port: u16) -> Result<u16> {
        let found = self.docker.inspect_container(container, None).await?;
        let ports = found.network_settings.and_then(|settings| settings.ports).unwrap_or_default();
        let bindings = ports.get(&format!("{port}/tcp")).cloned().flatten().unwrap_or_default();
        let port = bindings.into_iter().find_map(|binding| binding.host_port?.parse().ok());
        port.with_context(|| format!("container `{container}` publishes no such port"))
    }

    pub async fn usage(&self, container: &str) -> Result<Usage> {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let stats = self.docker.stats(container, Some(options)).next().await;
        let stats = stats.with_context(|| format!("no figures of container `{container}`"))??;
        let nanoseconds = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage).unwrap_or_default();
        let memory = stats.memory_stats.unwrap_or_default();
        let details = memory.stats.unwrap_or_default();
        // the names of control groups, version 1 and 2
        let forgettable = ["total_inactive_file", "inactive_file"].iter().find_map(|name| details.get(*name));
        let bytes = memory.usage.unwrap_or_default() - forgettable.copied().unwrap_or_default();
        Ok(Usage {
            cpu: std::time::Duration::from_nanos(nanoseconds).as_secs_f64(),
            memory: f64::from(u32::try_from(bytes >> 10)?) / 1024.0,
        })
    }
}
