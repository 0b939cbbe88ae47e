//! `fedctl plan`.

use std::path::Path;

use anyhow::Context;

use crate::{
    cli::{self, Choices, Global, TextFormat},
    output::{self, Output},
};
use fedctl_engine::inspect::Inspect;
use fedctl_model::{
    desired::{self, Passwords},
    outcome::Outcome,
    plan::{self, Plan, SavedPlan},
    site::Inventory,
};

use super::{
    failure::Failure,
    project::{Project, leftovers},
};

pub async fn run(global: &Global, asked: &cli::Plan, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, true)?;
    let passwords = match asked.out {
        // what is agreed to has passwords that are there when it is applied
        Some(_) => project.keep_passwords()?,
        None => project.workdir.preview_passwords(&desired::passwords(&project.topology))?,
    };
    let plan = make(global, &project, passwords, &asked.regions, asked.choices).await?;
    if let Some(path) = &asked.out {
        save(path, &project, &plan, asked)?;
    }
    output.data(&match asked.output {
        TextFormat::Text => output::plan::render(&plan),
        TextFormat::Json => output::json(&plan)?,
        TextFormat::Yaml => output::yaml(&plan)?,
    })?;
    if let Some(path) = &asked.out {
        output.message(&format!("next: fedctl apply {}\n", path.display()));
    }
    Ok(if asked.detailed_exitcode && !plan.is_empty() { Outcome::Changes } else { Outcome::Done })
}

/// What is to be done in these regions, or in all of them for none.
pub async fn make(
    global: &Global,
    project: &Project,
    passwords: Passwords,
    regions: &[String],
    choices: Choices,
) -> Result<Plan, Failure> {
    let chosen = project.regions(regions)?;
    let engine = project.engine(global).await?;
    let executable = project.executable(&engine).await?;
    let passwords = project.completed(passwords)?;
    let desired = project.desired(&passwords, executable.as_ref(), regions, choices)?;
    let inventory = Inventory::of(&project.topology, &passwords).only(&chosen);
    let inspect = Inspect::for_changes(engine, &project.topology.name, inventory);
    Ok(plan::plan(&desired, &inspect.definitions(&desired).await?))
}

fn save(path: &Path, project: &Project, plan: &Plan, asked: &cli::Plan) -> Result<(), Failure> {
    let choices = asked.choices;
    let name = &project.topology.name;
    let saved =
        SavedPlan::of(plan, name, &asked.regions, [choices.take_over, choices.adopt], leftovers(choices));
    std::fs::write(path, output::json(&saved)?)
        .with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(|error| Failure::new(Outcome::Failed, error))
}
