//! `fedctl queues`.

use std::time::Duration;

use crate::{
    cli::{self, Format, Global},
    output::{self, Output},
};
use fedctl_engine::{collect, docker::Engine, rabbitmq::Connector, wait};
use fedctl_model::{
    outcome::Outcome,
    queues::{self, History, Queues},
};

use super::{failure::Failure, project::Project, stop::Stop};

/// How long a broker may take to answer: one that hangs must not keep the others from being shown.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

pub async fn run(global: &Global, asked: &cli::Queues, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, false)?;
    let engine = Engine::at(global.host.as_deref())?;
    let connector = Connector::within(ANSWER_WITHIN);
    let mut history = History::default();
    let stop = Stop::listen()?;
    loop {
        let queues = look(&project, &engine, &connector, &mut history).await?;
        if asked.watch {
            output.clear_screen()?;
        }
        let outcome = report(&queues, asked.output, output)?;
        if !asked.watch {
            return Ok(outcome);
        }
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
    history: &mut History,
) -> Result<Queues, Failure> {
    let topology = &project.topology;
    let found = collect::containers(engine, &topology.name).await?;
    let passwords = project.workdir.passwords()?;
    let regions: Vec<_> = topology.regions.iter().map(|region| region.name.clone()).collect();
    let brokers = collect::brokers(&found, connector, &topology.name, &regions, &passwords);
    let found = collect::queues(&brokers).await;
    let found = found.into_iter().map(|(region, found)| (region, found.map_err(|error| error.to_string())));
    Ok(queues::queues(&topology.name, &regions, &found.collect(), history))
}

fn report(queues: &Queues, format: Format, output: Output) -> Result<Outcome, Failure> {
    let text = match format {
        Format::Table => output::queues::render(queues, false),
        Format::Wide => output::queues::render(queues, true),
        Format::Json => output::json(queues)?,
        Format::Yaml => output::yaml(queues)?,
    };
    output.data(&text)?;
    Ok(if queues.warnings.is_empty() { Outcome::Done } else { Outcome::Degraded })
}
