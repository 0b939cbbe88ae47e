//! `fedctl trace`.

use anyhow::anyhow;

use crate::{
    cli::{self, Global, TextFormat},
    output::{self, Output},
};
use fedctl_engine::{collect, docker::Engine};
use fedctl_model::{outcome::Outcome, topology::RegionName, trace};

use super::{failure::Failure, project::Project};

pub async fn run(global: &Global, asked: &cli::Trace, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, false)?;
    let engine = Engine::at(global.host.as_deref())?;
    let found = collect::containers(&engine, &project.topology.name).await?.containers;
    let services: Vec<(RegionName, &str, &str)> = found.iter().filter_map(collect::service_of).collect();
    let names: Vec<&str> = services.iter().map(|(_, _, name)| *name).collect();
    let lines = collect::history(&engine, &names, None).await?;
    let lines = lines.iter().map(|(index, line)| {
        let (region, service, _) = &services[*index];
        (region, *service, line.text.as_str())
    });
    let trace = trace::trace(&asked.correlation_id, lines);
    if trace.steps.is_empty() {
        let error = anyhow!("no service has logged anything about `{}`", asked.correlation_id);
        return Err(Failure::new(Outcome::Failed, error)
            .hint("services answer with the identifier in the header `x-correlation-id`, and `fedctl demo` prints it"));
    }
    output.data(&match asked.output {
        TextFormat::Text => output::trace::render(&trace),
        TextFormat::Json => output::json(&trace)?,
        TextFormat::Yaml => output::yaml(&trace)?,
    })?;
    Ok(Outcome::Done)
}
