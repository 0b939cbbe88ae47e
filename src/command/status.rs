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
        let remembered = project.workdir.federated()?;
        report(&inspect.status(&project.topology, &remembered).await?, asked)
    })
    .await
}

fn report(status: &Status, asked: &cli::Status) -> Result<(String, Outcome), Failure> {
    let text = match asked.output {
        Format::Table | Format::Wide if asked.problems => output::status::problems(status),
        Format::Table => output::status::render(status, false),
        Format::Wide => output::status::render(status, true),
        Format::Json => output::json(status)?,
        Format::Yaml => output::yaml(status)?,
    };
    let outcome = if status.is_healthy() { Outcome::Done } else { Outcome::Degraded };
    Ok((text, outcome))
}
