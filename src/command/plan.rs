//! `fedctl plan`.

use crate::{
    cli::{self, Global, TextFormat},
    output::{self, Output},
};
use fedctl_engine::inspect::Inspect;
use fedctl_model::{desired, outcome::Outcome, plan, site::Inventory};

use super::{failure::Failure, project::Project};

pub async fn run(global: &Global, asked: &cli::Plan, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, true)?;
    let regions = project.regions(&asked.regions)?;
    let engine = project.engine(global).await?;
    let executable = project.executable(&engine).await?;
    let passwords = project.workdir.preview_passwords(&desired::passwords(&project.topology))?;
    let passwords = project.completed(passwords)?;
    let desired = project.desired(&passwords, executable.as_ref(), &asked.regions, asked.choices)?;
    let inventory = Inventory::of(&project.topology, &passwords).only(&regions);
    let inspect = Inspect::for_changes(engine, &project.topology.name, inventory);
    let plan = plan::plan(&desired, &inspect.definitions(&desired).await?);
    output.data(&match asked.output {
        TextFormat::Text => output::plan::render(&plan),
        TextFormat::Json => output::json(&plan)?,
        TextFormat::Yaml => output::yaml(&plan)?,
    })?;
    Ok(if asked.detailed_exitcode && !plan.is_empty() { Outcome::Changes } else { Outcome::Done })
}
