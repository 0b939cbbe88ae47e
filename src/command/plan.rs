//! `fedctl plan`.

use crate::{
    cli::{self, Global, TextFormat},
    output::{self, Output},
};
use fedctl_engine::{
    collect, docker::Engine, endpoint::Endpoints, executable::Executable, rabbitmq::Connector,
};
use fedctl_model::{desired, outcome::Outcome, plan};

use super::{failure::Failure, project::Project};

pub async fn run(global: &Global, asked: &cli::Plan, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, true)?;
    project.regions(&asked.regions)?;
    let engine = Engine::connect(global.host.as_deref()).await?;
    let passwords = project.workdir.preview_passwords(&desired::passwords(&project.topology))?;
    let executable = Executable::of_this_process()?;
    let desired = project.desired(&passwords, executable.reference(), &asked.regions)?;
    let (connector, endpoints) = (Connector::default(), Endpoints::default());
    let observed = collect::observed(&engine, &connector, &endpoints, &desired, &passwords).await?;
    let plan = plan::plan(&desired, &observed);
    output.data(&match asked.output {
        TextFormat::Text => output::plan::render(&plan),
        TextFormat::Json => output::json(&output::plan::data(&plan))?,
        TextFormat::Yaml => output::yaml(&output::plan::data(&plan))?,
    })?;
    Ok(if asked.detailed_exitcode && !plan.is_empty() { Outcome::Changes } else { Outcome::Done })
}
