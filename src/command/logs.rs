//! `fedctl logs`.

use anyhow::anyhow;
use futures_util::{StreamExt, stream};

use crate::{
    cli::{self, Global},
    output::{self, Output},
};
use fedctl_engine::docker::LogLine;
use fedctl_model::{
    names::{INSTANCE_LABEL, REGION_LABEL, SERVICE_LABEL},
    observed::Container,
    outcome::Outcome,
};

use super::{failure::Failure, project::Project, stop::Stop};

pub async fn run(global: &Global, asked: &cli::Logs, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, false)?;
    let stop = Stop::listen()?;
    project.regions(asked.region.as_slice())?;
    let inspect = project.inspect(global)?;
    let found = inspect.containers().await?.containers;
    // the first replica of a service has the service's name: asked for by it, all of them are meant
    let wanted = |container: &&Container| {
        let is = |label: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| container.labels.get(label).is_some_and(|found| found == wanted))
        };
        let service = asked.service.as_deref();
        is(REGION_LABEL, asked.region.as_deref())
            && (is(SERVICE_LABEL, service) || is(INSTANCE_LABEL, service))
    };
    let mut names: Vec<&str> = found.iter().filter(wanted).map(|container| container.name.as_str()).collect();
    names.sort_unstable();
    if names.is_empty() {
        let error = anyhow!("no such container: is `{}` up?", project.topology.name);
        return Err(Failure::new(Outcome::Failed, error).hint("`fedctl status` shows what is running"));
    }
    let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
    let show = |(name, line): (&str, LogLine)| -> Result<(), Failure> {
        Ok(output.data(&output::log_line(name, width, &line.text))?)
    };
    if asked.follow {
        let streams = names.iter().map(|name| {
            inspect.engine.logs(name, None, asked.tail, true).map(move |line| line.map(|line| (*name, line)))
        });
        let mut lines = stream::select_all(streams);
        loop {
            tokio::select! {
                line = lines.next() => match line {
                    Some(line) => show(line?)?,
                    None => return Ok(Outcome::Done),
                },
                () = stop.token.cancelled() => return Ok(stop.outcome()),
            }
        }
    }
    let lines = inspect.history(&names, asked.tail).await?;
    lines.into_iter().try_for_each(|(index, line)| show((names[index], line)))?;
    Ok(Outcome::Done)
}
