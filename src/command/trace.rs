//! `fedctl trace`.

use anyhow::anyhow;

use crate::{
    catalogue::catalogue,
    cli::{self, Global, TextFormat},
    output::{self, Output},
};
use fedctl_contract::http::CORRELATION_ID;
use fedctl_model::outcome::Outcome;

use super::{failure::Failure, project::Project};

pub async fn run(global: &Global, asked: &cli::Trace, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, false)?;
    let trace = project.inspect(global)?.trace(&catalogue(), &asked.correlation_id).await?;
    if trace.steps.is_empty() {
        let error = anyhow!("no service has logged anything about `{}`", asked.correlation_id);
        return Err(Failure::new(Outcome::Failed, error).hint(format!(
            "services return the correlation ID in the header `{CORRELATION_ID}`, and `fedctl demo` prints it"
        )));
    }
    output.data(&match asked.output {
        TextFormat::Text => output::trace::render(&trace),
        TextFormat::Json => output::json(&trace)?,
        TextFormat::Yaml => output::yaml(&trace)?,
    })?;
    Ok(Outcome::Done)
}
