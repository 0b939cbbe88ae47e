//! `fedctl check`.

use fedctl_model::{
    check::{self, Checks},
    diagnostic::Diagnostic,
    outcome::Outcome,
    topology::{self, Topology},
};

use super::{
    failure::Failure,
    project::{Project, Source},
};
use crate::{
    catalogue::catalogue,
    cli::{self, Format, Global},
    output::{self, Output},
};

pub async fn run(global: &Global, asked: &cli::Check, output: Output) -> Result<Outcome, Failure> {
    let source = Source::read(global)?;
    let (checks, outcome) = match topology::parse(&source.text, &catalogue()) {
        Err(findings) => (check::offline(None, findings), Outcome::InvalidTopology),
        Ok((topology, warnings)) => {
            let checks = if asked.offline {
                check::offline(Some(topology.name), warnings)
            } else {
                live(global, asked, topology, warnings).await?
            };
            let outcome = if checks.is_clean() { Outcome::Done } else { Outcome::Degraded };
            (checks, outcome)
        }
    };
    output.data(&match asked.output {
        Format::Table => output::check::render(&checks, &source.text, &source.shown, false),
        Format::Wide => output::check::render(&checks, &source.text, &source.shown, true),
        Format::Json => output::json(&checks)?,
        Format::Yaml => output::yaml(&checks)?,
    })?;
    Ok(outcome)
}

/// The file and every broker. One that does not answer is among the findings and hinders no other.
async fn live(
    global: &Global,
    asked: &cli::Check,
    topology: Topology,
    warnings: Vec<Diagnostic>,
) -> Result<Checks, Failure> {
    let project = Project::of(topology, global);
    let regions = project.regions(&asked.regions)?;
    let inspect = project.inspect(global)?;
    let federated = project.workdir.federated()?;
    let (health, facts) = tokio::try_join!(inspect.health(&project.topology, &federated), inspect.facts())?;
    Ok(check::live(&project.topology, warnings, (&health, &facts), &federated, &regions))
}
