//! What an engine says of itself.

use rustix::fs::statvfs;

use super::{Engine, EngineError, Operation, Result};
use fedctl_model::doctor::EngineFacts;

impl Engine {
    /// Its version, its resources and its clock.
    pub async fn facts(&self) -> Result<EngineFacts> {
        let error = |source| EngineError::new(Operation::Inspect, "the engine", source);
        let version = self.docker.version().await.map_err(error)?;
        let info = self.docker.info().await.map_err(error)?;
        let count =
            |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
        Ok(EngineFacts {
            address: self.address.to_string(),
            version: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
            processors: count(info.ncpu),
            memory: count(info.mem_total),
            free_disk: info.docker_root_dir.and_then(|directory| {
                let disk = statvfs(directory).ok()?;
                Some(disk.f_bavail * disk.f_frsize)
            }),
            clock_ahead: self.clock().await?.seconds_ahead(),
        })
    }
}
