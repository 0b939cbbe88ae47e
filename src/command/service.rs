//! `fedctl service`, which runs inside the regions' containers.

use fedctl_model::outcome::Outcome;
use fedctl_services::{self as service};

use super::{failure::Failure, stop::Stop};

pub async fn run(name: &str) -> Result<Outcome, Failure> {
    let stop = Stop::listen()?;
    let failed = |error| Failure::new(Outcome::Failed, error);
    let kind: service::Kind = name.parse().map_err(failed)?;
    let settings = service::Settings::from_env(kind, |key| std::env::var(key).ok()).map_err(failed)?;
    service::run(kind, settings, stop.token.clone()).await.map_err(failed)?;
    Ok(Outcome::Done)
}
