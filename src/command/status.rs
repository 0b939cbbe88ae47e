//! `fedctl status`.

use crate::{
    cli::{self, Format, Global},
    output::{self, Output},
};
use fedctl_model::{outcome::Outcome, status::Status};

use super::{failure::Failure, project::Project, repeat::repeat};

pub async fn run(global: &Global, asked: &cli::Status, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, false)?;
    let mut inspect = project.inspect(global)?;
    repeat(asked.watch, output, async || {
        inspect.inventory = project.inventory()?;
        report(&inspect.status(&project.topology).await?, asked.output)
    })
    .await
}

fn report(status: &Status, format: Format) -> Result<(String, Outcome), Failure> {
    let text = match format {
        Format::Table => output::status::render(status, false),
        Format::Wide => output::status::render(status, true),
        Format::Json => output::json(status)?,
        Format::Yaml => output::yaml(status)?,
    };
    let outcome = if status.is_healthy() { Outcome::Done } else { Outcome::Degraded };
    Ok((text, outcome))
}
