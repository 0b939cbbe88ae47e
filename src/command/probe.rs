//! `fedctl probe`.

use std::time::Duration;

use crate::{
    cli::{self, Format, Global},
    output::{self, Output, progress},
};
use fedctl_engine::probe::{ProbeError, Probing, nonce};
use fedctl_model::{outcome::Outcome, probe::Probe, topology::RegionName};

use super::{failure::Failure, project::Project, stop::Stop};

/// How long a probe takes at most by default.
const TIMEOUT: Duration = Duration::from_secs(10);

pub async fn run(global: &Global, asked: &cli::Probe, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, false)?;
    let regions = project.regions(&asked.regions)?;
    let stop = Stop::listen()?;
    probe(global, &project, &regions, asked, output, &stop).await
}

/// The probe that an `up` ends with.
pub async fn verify(
    global: &Global,
    project: &Project,
    regions: &[RegionName],
    output: Output,
    stop: &Stop,
) -> Result<Outcome, Failure> {
    let asked =
        cli::Probe { regions: Vec::new(), count: cli::PROBE_COUNT, timeout: TIMEOUT, output: Format::Table };
    probe(global, project, regions, &asked, output, stop).await
}

async fn probe(
    global: &Global,
    project: &Project,
    regions: &[RegionName],
    asked: &cli::Probe,
    output: Output,
    stop: &Stop,
) -> Result<Outcome, Failure> {
    let inspect = project.inspect(global)?;
    inspect.engine.check_ports()?;
    let probe = Probe::of(&project.topology, regions, nonce(), asked.count.into());
    let probing = Probing {
        inspect: &inspect,
        topology: &project.topology,
        probe: &probe,
        events: &progress::events(global.progress, output),
        timeout: asked.timeout,
        stop: &stop.token,
    };
    let Some(report) = finished(probing.run().await, output)? else { return Ok(stop.outcome()) };
    output.data(&match asked.output {
        Format::Table => output::probe::render(&report, false),
        Format::Wide => output::probe::render(&report, true),
        Format::Json => output::json(&report)?,
        Format::Yaml => output::yaml(&report)?,
    })?;
    Ok(if report.passed { Outcome::Done } else { Outcome::ScenarioFailed })
}

/// What a run found, or nothing where it was interrupted: then what it left on the brokers is said.
pub(super) fn finished<T>(ran: Result<T, ProbeError>, output: Output) -> Result<Option<T>, Failure> {
    match ran {
        Ok(report) => Ok(Some(report)),
        Err(ProbeError::Engine(error)) => Err(error.into()),
        Err(ProbeError::Interrupted(left)) => {
            for left in left {
                output.message(&output::probe::left(&left.diagnostic()));
            }
            Ok(None)
        }
    }
}
