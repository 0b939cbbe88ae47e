//! A report made once, or again every second.

use fedctl_engine::wait;
use fedctl_model::outcome::Outcome;

use super::{failure::Failure, stop::Stop};
use crate::output::Output;

/// What is shown.
pub struct Report {
    /// The report.
    pub body: String,
    /// What stays on the screen below it, however long it is.
    pub tail: String,
    /// What it amounts to.
    pub outcome: Outcome,
}

/// Makes the report; with `watch` again every second until interrupted, over the last one where that is possible.
pub async fn repeat(
    watch: bool,
    output: Output,
    mut report: impl AsyncFnMut() -> Result<Report, Failure>,
) -> Result<Outcome, Failure> {
    if !watch {
        let Report { body, tail, outcome } = report().await?;
        output.data(&(body + &tail))?;
        return Ok(outcome);
    }
    let stop = Stop::listen()?;
    let mut first = true;
    loop {
        let Report { body, tail, .. } = report().await?;
        if Output::redraws() {
            output.redraw(&body, &tail, first)?;
        } else {
            output.data(&(body + &tail))?;
        }
        first = false;
        tokio::select! {
            () = wait::second() => {}
            () = stop.token.cancelled() => return Ok(stop.outcome()),
        }
    }
}
