//! `fedctl status`.

use std::{collections::VecDeque, time::Instant};

use jiff::{Zoned, tz::TimeZone};

use crate::{
    cli::{self, Global, StatusFormat},
    output::{
        self, Output, nagios, prom,
        status::{self as text, Extent},
    },
};
use fedctl_model::{
    outcome::Outcome,
    status::{Status, Verdict, Watched},
};

use super::{
    failure::Failure,
    look::Looks,
    project::Project,
    repeat::{Report, repeat},
};

/// How many lines of changes a watch shows.
const SHOWN_CHANGES: usize = 10;

pub async fn run(global: &Global, asked: &cli::Status, output: Output) -> Result<Outcome, Failure> {
    let for_monitors = matches!(asked.output, StatusFormat::Prom | StatusFormat::Nagios);
    if asked.watch && for_monitors {
        let error = anyhow::anyhow!("`--watch` cannot be used with a format for monitors");
        return Err(Failure::new(Outcome::Usage, error).hint("leave `--watch` out, or run `fedctl exporter`"));
    }
    match report(global, asked, output).await {
        Err(failure) if asked.output == StatusFormat::Nagios => {
            output.data(&nagios::unknown(&failure.cause()))?;
            Ok(Outcome::Checked(Verdict::Unknown))
        }
        ended => ended,
    }
}

async fn report(global: &Global, asked: &cli::Status, output: Output) -> Result<Outcome, Failure> {
    let mut looks = Looks::at(Project::load(global, output, false)?, global, asked.limits())?;
    let mut watch = Watch::default();
    repeat(asked.watch, output, async || {
        let started = Instant::now();
        let (status, now) = looks.look().await?;
        if asked.watch && matches!(asked.output, StatusFormat::Table | StatusFormat::Wide) {
            let at = now.to_zoned(TimeZone::system());
            return Ok(watch.report(&status, &at, extent(asked), Output::redraws()));
        }
        let mut outcome = outcome(&status);
        let body = match asked.output {
            StatusFormat::Table | StatusFormat::Wide => text::render(&status, extent(asked)),
            StatusFormat::Json => output::json(&status)?,
            StatusFormat::Yaml => output::yaml(&status)?,
            StatusFormat::Prom => prom::render(Some(status), started.elapsed()),
            StatusFormat::Nagios => {
                outcome = Outcome::Checked(status.verdict());
                nagios::render(&status, asked.limits())
            }
        };
        Ok(Report { body, tail: String::new(), outcome })
    })
    .await
}

fn extent(asked: &cli::Status) -> Extent {
    match (asked.problems, asked.output) {
        (true, _) => Extent::Problems,
        (false, StatusFormat::Wide) => Extent::Wide,
        (
            false,
            StatusFormat::Table
            | StatusFormat::Json
            | StatusFormat::Yaml
            | StatusFormat::Prom
            | StatusFormat::Nagios,
        ) => Extent::Summary,
    }
}

/// What a watch has seen so far.
#[derive(Default)]
struct Watch {
    seen: Watched,
    began: Option<Zoned>,
    changes: VecDeque<String>,
}

impl Watch {
    /// The report of a look. One that is drawn over the last has everything; otherwise there is the first, and then only
    /// what changed.
    fn report(&mut self, status: &Status, at: &Zoned, extent: Extent, redraws: bool) -> Report {
        let outcome = outcome(status);
        let changes = self.seen.look(status).map(|changes| text::changes(at, &changes));
        let is_first = changes.is_none();
        let changes = changes.unwrap_or_default();
        if redraws {
            self.changes.extend(changes);
            self.changes.drain(..self.changes.len().saturating_sub(SHOWN_CHANGES));
            let began = self.began.get_or_insert_with(|| at.clone());
            Report {
                body: text::heading(status, at) + &text::tables(status, extent),
                tail: text::changed_since(began, &self.changes) + &text::totals(status),
                outcome,
            }
        } else if is_first {
            Report { body: text::render(status, extent), tail: String::new(), outcome }
        } else {
            Report { body: changes.concat(), tail: String::new(), outcome }
        }
    }
}

fn outcome(status: &Status) -> Outcome {
    if status.is_healthy() { Outcome::Done } else { Outcome::Degraded }
}
