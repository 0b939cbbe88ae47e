//! `fedctl status`.

use std::time::Duration;

use crate::{
    cli::{self, Format, Global},
    output::{self, Output},
};
use fedctl_engine::{collect, docker::Engine, endpoint::Endpoints, rabbitmq::Connector, wait};
use fedctl_model::{
    desired,
    outcome::Outcome,
    status::{self, Status},
};

use super::{failure::Failure, project::Project, stop::Stop};

/// How long a broker may take to answer: one that hangs must not keep the others from being shown.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

pub async fn run(global: &Global, asked: &cli::Status, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, false)?;
    let engine = Engine::at(global.host.as_deref())?;
    let connector = Connector::within(ANSWER_WITHIN);
    let endpoints = Endpoints::within(ANSWER_WITHIN);
    if !asked.watch {
        let status = look(&project, &engine, &connector, &endpoints).await?;
        return report(&status, asked.output, output);
    }
    let stop = Stop::listen()?;
    loop {
        let status = look(&project, &engine, &connector, &endpoints).await?;
        output.clear_screen()?;
        report(&status, asked.output, output)?;
        tokio::select! {
            () = wait::second() => {}
            () = stop.token.cancelled() => return Ok(stop.outcome()),
        }
    }
}

async fn look(
    project: &Project,
    engine: &Engine,
    connector: &Connector,
    endpoints: &Endpoints,
) -> Result<Status, Failure> {
    let topology = &project.topology;
    let found = collect::containers(engine, &topology.name).await?;
    let passwords = project.workdir.passwords()?;
    let regions: Vec<_> = topology.regions.iter().map(|region| region.name.clone()).collect();
    let brokers = collect::brokers(&found, connector, &topology.name, &regions, &passwords);
    let (health, not_ready) = tokio::join!(
        collect::health(&brokers),
        collect::not_ready(&found, endpoints, desired::services_that_say_when_ready(topology)),
    );
    let health =
        health.into_iter().map(|(region, health)| (region, health.map_err(|error| error.to_string())));
    Ok(status::status(topology, &found, &health.collect(), &not_ready))
}

fn report(status: &Status, format: Format, output: Output) -> Result<Outcome, Failure> {
    let text = match format {
        Format::Table => output::status::render(status, false),
        Format::Wide => output::status::render(status, true),
        Format::Json => output::json(status)?,
        Format::Yaml => output::yaml(status)?,
    };
    output.data(&text)?;
    Ok(if status.is_healthy() { Outcome::Done } else { Outcome::Degraded })
}
