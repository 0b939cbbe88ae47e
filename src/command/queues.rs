//! `fedctl queues`.

use crate::{
    catalogue::catalogue,
    cli::{self, Format, Global},
    output::{self, Output},
};
use fedctl_model::{
    outcome::Outcome,
    queues::{History, Queues},
};

use super::{
    failure::Failure,
    project::Project,
    repeat::{Report, repeat},
};

pub async fn run(global: &Global, asked: &cli::Queues, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, false)?;
    let mut inspect = project.inspect(global)?;
    let (catalogue, mut history) = (catalogue(), History::default());
    repeat(asked.watch, output, async || {
        inspect.inventory = project.inventory()?;
        report(&inspect.queues(&project.topology, &catalogue, &mut history).await?, asked.output)
    })
    .await
}

fn report(queues: &Queues, format: Format) -> Result<Report, Failure> {
    let body = match format {
        Format::Table => output::queues::render(queues, false),
        Format::Wide => output::queues::render(queues, true),
        Format::Json => output::json(queues)?,
        Format::Yaml => output::yaml(queues)?,
    };
    let outcome = if queues.diagnostics.is_empty() { Outcome::Done } else { Outcome::Degraded };
    Ok(Report { body, tail: String::new(), outcome })
}
