//! A report made once, or again every second.

use fedctl_engine::wait;
use fedctl_model::outcome::Outcome;

use super::{failure::Failure, stop::Stop};
use crate::output::Output;

/// Makes the report; with `watch` again every second on a cleared screen, until interrupted.
pub async fn repeat(
    watch: bool,
    output: Output,
    mut report: impl AsyncFnMut() -> Result<Outcome, Failure>,
) -> Result<Outcome, Failure> {
    if !watch {
        return report().await;
    }
    let stop = Stop::listen()?;
    loop {
        output.clear_screen()?;
        report().await?;
        tokio::select! {
            () = wait::second() => {}
            () = stop.token.cancelled() => return Ok(stop.outcome()),
        }
    }
}
