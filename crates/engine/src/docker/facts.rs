//! What an engine says of itself.

use std::time::Instant;

use rustix::fs::statvfs;

use super::{Engine, EngineError, Operation, Result};
use fedctl_model::doctor::EngineFacts;

impl Engine {
    /// Its version, its resources and its clock.
    pub async fn facts(&self) -> Result<EngineFacts> {
        let error = |source| EngineError::new(Operation::Inspect, "the engine", source);
        let version = self.docker.version().await.map_err(error)?;
        let (asked, here) = (Instant::now(), jiff::Timestamp::now());
        let info = self.docker.info().await.map_err(error)?;
        let answered_after = asked.elapsed().as_secs_f64();
        let there: Option<jiff::Timestamp> = info.system_time.and_then(|time| time.parse().ok());
        let ahead = there.map(|there| there.duration_since(here).as_secs_f64());
        let count =
            |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
        Ok(EngineFacts {
            address: String::new(),
            version: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
            processors: count(info.ncpu),
            memory: count(info.mem_total),
            free_disk: info.docker_root_dir.and_then(|directory| {
                let disk = statvfs(directory).ok()?;
                Some(disk.f_bavail * disk.f_frsize)
            }),
            // it read its clock somewhere between the question and the answer
            clock_ahead: ahead.map(|ahead| if (0.0..=answered_after).contains(&ahead) { 0.0 } else { ahead }),
        })
    }
}
