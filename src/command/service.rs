//! `fedctl service`, which runs inside the regions' containers.

use fedctl_contract::program::Program;
use fedctl_model::outcome::Outcome;
use fedctl_services::{self as service, Settings};

use super::{failure::Failure, stop::Stop};

pub async fn run(program: Program) -> Result<Outcome, Failure> {
    let stop = Stop::listen()?;
    let failed = |error| Failure::new(Outcome::Failed, error);
    let settings = Settings::from_env(program, |key| std::env::var(key).ok()).map_err(failed)?;
    service::run(program, settings, stop.token.clone()).await.map_err(failed)?;
    Ok(Outcome::Done)
}
