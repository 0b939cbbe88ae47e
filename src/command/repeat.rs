//! A report made once, or again every second.

use fedctl_engine::wait;
use fedctl_model::outcome::Outcome;

use super::{failure::Failure, stop::Stop};
use crate::output::Output;

/// Makes the report; with `watch` again every second on a cleared screen, until interrupted.
pub async fn repeat(
    watch: bool,
    output: Output,
    mut report: impl AsyncFnMut() -> Result<(String, Outcome), Failure>,
) -> Result<Outcome, Failure> {
    if !watch {
        let (text, outcome) = report().await?;
        output.data(&text)?;
        return Ok(outcome);
    }
    let stop = Stop::listen()?;
    loop {
        // the last report stays on the screen until there is a new one
        let (text, _) = report().await?;
        output.clear_screen()?;
        output.data(&text)?;
        tokio::select! {
            () = wait::second() => {}
            () = stop.token.cancelled() => return Ok(stop.outcome()),
        }
    }
}
