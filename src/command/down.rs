//! `fedctl down`.

use anyhow::anyhow;
use tokio::time::Instant;

use crate::{
    cli::{self, Global},
    output::{self, Output, progress},
};
use fedctl_engine::{apply::apply, docker::Engine};
use fedctl_model::{
    counted::counted,
    names::IMAGE_LABEL,
    outcome::Outcome,
    plan::{self, Removal},
};

use super::{
    failure::Failure,
    project::{self, Project},
    stop::Stop,
};

pub async fn run(global: &Global, asked: &cli::Down, output: Output) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let stop = Stop::listen()?;
    let project = Project::load(global, output, false)?;
    let name = asked.project.as_ref().unwrap_or(&project.topology.name);
    if !project.topology.has_containers() && asked.project.is_none() {
        let error = anyhow!("no broker of the topology is in a container: there is nothing to remove");
        return Err(
            Failure::new(Outcome::Usage, error).hint("brokers that fedctl did not start stay as they are")
        );
    }
    if asked.volumes {
        confirm(name, asked.confirm.as_deref(), output)?;
    }
    let _lock = project.lock(global, name)?;
    let engine = Engine::connect(global.host.as_deref()).await?;
    let images = if asked.images { engine.images_labelled(IMAGE_LABEL).await? } else { Vec::new() };
    let events = progress::events(global.progress, output);
    let tools = project::tools(&project, engine, project.inventory()?, Vec::new(), None, events, started);
    let found = tools.inspect.engine_state(&images.iter().cloned().collect()).await?;
    if let Some(conflict) = plan::conflict(name, &project.owner(asked.take_over)?, &found) {
        output.message(&output::plan::blocked(&[conflict]));
        return Err(Failure::new(Outcome::Failed, anyhow!("the project is another's; nothing was removed")));
    }
    let plan = plan::remove(name, &found, &Removal { volumes: asked.volumes, images });
    let report = apply(&plan, &tools, &stop.token).await;
    if report.interrupted || !report.failures.is_empty() {
        return Err(Failure::of_report(report, stop.outcome(), output));
    }
    if asked.volumes && *name == project.topology.name {
        project.workdir.remove()?;
    }
    let kept = if asked.volumes { "nothing is left" } else { "volumes are kept; remove them with --volumes" };
    output.message(&format!(
        "down: {}, {:.1} s; {kept}\n",
        counted(report.done, "step"),
        started.elapsed().as_secs_f64()
    ));
    Ok(Outcome::Done)
}

/// Data goes only when the project's name is given, by flag or at a prompt.
fn confirm(name: &str, given: Option<&str>, output: Output) -> Result<(), Failure> {
    let given = match given {
        Some(given) => given.to_owned(),
        None if Output::can_ask() => output.ask(&format!(
            "remove all data of project `{name}`, messages included? type its name to confirm: "
        ))?,
        None => String::new(),
    };
    if given == *name {
        return Ok(());
    }
    let error = anyhow!("removing volumes must be confirmed with the project's name");
    Err(Failure::new(Outcome::Usage, error).hint(format!("fedctl down --volumes --confirm {name}")))
}
