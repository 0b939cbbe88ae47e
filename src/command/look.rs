//! Looks at a project, one after the other.

use fedctl_engine::inspect::Inspect;
use fedctl_model::status::{History, Limits, Status};
use jiff::Timestamp;

use super::{failure::Failure, project::Project};
use crate::cli::Global;

/// What one look after the other needs: each knows what was kept by the ones before, whoever made them.
pub struct Looks {
    project: Project,
    inspect: Inspect,
    history: History,
    kept: bool,
    limits: Limits,
}

impl Looks {
    pub fn at(project: Project, global: &Global, limits: Limits) -> Result<Self, Failure> {
        let inspect = project.inspect(global)?;
        let history = project.workdir.history(&project.topology.name);
        Ok(Self { project, inspect, history, kept: false, limits })
    }

    /// Looks now, with the passwords that are known by now.
    pub async fn look(&mut self) -> Result<(Status, Timestamp), Failure> {
        let Self { project, inspect, history, kept, limits } = self;
        inspect.inventory = project.inventory()?;
        let federated = project.workdir.federated()?;
        if *kept {
            // others may have looked since
            *history = project.workdir.history(&project.topology.name);
        }
        let mut status = inspect.status(&project.topology, &federated, history).await?;
        let now = Timestamp::now();
        history.look(&mut status.links, now);
        // where nothing can be written, the next run knows less, and this one is as good
        *kept = project.workdir.keep(history).is_ok();
        limits.apply(&mut status);
        Ok((status, now))
    }
}
