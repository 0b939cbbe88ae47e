//! `fedctl up`.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    cli::{self, Global},
    output::{Output, progress},
};
use fedctl_engine::{docker::Engine, up::Up};
use fedctl_model::{counted::counted, desired, outcome::Outcome, site::Inventory};

use super::{
    failure::Failure,
    project::{self, Project},
    stop::Stop,
};

/// How long `up` waits by default.
pub const TIMEOUT: Duration = Duration::from_secs(300);

pub async fn run(global: &Global, asked: &cli::Up, output: Output) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let deadline = started + asked.timeout;
    let stop = Stop::listen()?;
    let project = Project::load(global, output, true)?;
    let regions = project.regions(&asked.regions)?;
    let _lock = project.workdir.lock()?;
    let engine = Engine::connect(global.host.as_deref()).await?;
    engine.check_ports()?;
    let executable = project.executable(&engine).await?;
    let passwords = project.workdir.complete_passwords(&desired::passwords(&project.topology))?;
    let desired = project.desired(&passwords, executable.as_ref(), &asked.regions)?;
    let events = progress::events(global.progress, output);
    let inventory = Inventory::of(&project.topology, &passwords).only(&regions);
    let tools = project::tools(&project, engine, inventory, executable, events, deadline);
    let up = Up { topology: &project.topology, desired: &desired, tools: &tools, stop: &stop.token };
    match up.run().await {
        Ok((0, links)) => output.message(&format!("nothing to do: {} running\n", counted(links, "link"))),
        Ok((steps, links)) => {
            let seconds = started.elapsed().as_secs_f64();
            output.message(&format!(
                "up: {}, {} running, {seconds:.1} s\nnext: fedctl status, fedctl demo\n",
                counted(steps, "step"),
                counted(links, "link"),
            ));
        }
        Err(error) => return Err(Failure::of_up(error, stop.outcome(), output)),
    }
    Ok(Outcome::Done)
}
