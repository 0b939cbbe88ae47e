//! `fedctl up`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    cli::{self, Global},
    output::{self, Output, progress},
};
use fedctl_engine::up::{Done, Up};
use fedctl_model::{counted::counted, desired, outcome::Outcome, site::Inventory, topology::RegionName};

use super::{
    failure::Failure,
    probe,
    project::{self, Project},
    stop::Stop,
};

/// How long `up` waits by default.
pub const TIMEOUT: Duration = Duration::from_secs(300);

pub async fn run(global: &Global, asked: &cli::Up, output: Output) -> Result<Outcome, Failure> {
    carry_out(global, asked, None, output).await
}

/// Brings the regions up; if a plan was agreed to, by its digest, only with that one.
pub async fn carry_out(
    global: &Global,
    asked: &cli::Up,
    agreed: Option<&str>,
    output: Output,
) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let deadline = started + asked.timeout;
    let stop = Stop::listen()?;
    let project = Project::load(global, output, true)?;
    let regions = project.regions(&asked.regions)?;
    let _lock = project.lock(global, &project.topology.name)?;
    let engine = project.engine(global).await?;
    engine.check_ports()?;
    let executable = project.executable(&engine).await?;
    let passwords = project.workdir.complete_passwords(&desired::passwords(&project.topology))?;
    let passwords = project.completed(passwords)?;
    let desired = project.desired(&passwords, executable.as_ref(), &asked.regions, asked.choices)?;
    let events = progress::events(global.progress, output);
    let inventory = Inventory::of(&project.topology, &passwords).only(&regions);
    let wanted = desired.brokers.clone();
    let tools = project::tools(&project, engine, inventory, wanted, executable, events, deadline);
    let up = Up { desired: &desired, tools: &tools, workdir: &project.workdir, stop: &stop.token, agreed };
    match up.run().await {
        Ok(Done { steps, mut links, federated }) => {
            let known: Vec<RegionName> = project.regions(&[])?;
            project.workdir.remember(federated, &known)?;
            let mut history = project.workdir.history(&project.topology.name);
            history.look_at_some(&mut links, Timestamp::now());
            project.workdir.keep(&history).ok();
            let links = output::status::running(links.len(), regions.len());
            output.message(&if steps == 0 {
                format!("nothing to do: {links}\n")
            } else {
                let seconds = started.elapsed().as_secs_f64();
                let steps = counted(steps, "step");
                format!("up: {steps}, {links}, {seconds:.1} s\nnext: fedctl status, fedctl demo\n")
            });
            if asked.verify {
                return probe::verify(global, &project, &regions, output, &stop).await;
            }
            Ok(Outcome::Done)
        }
        Err(error) => Err(Failure::of_up(error, stop.outcome(), output)),
    }
}
