//! `fedctl status`.

use std::collections::VecDeque;

use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::{
    cli::{self, Format, Global},
    output::{
        self, Output,
        status::{self as text, Extent},
    },
};
use fedctl_model::{
    outcome::Outcome,
    status::{Status, Watched},
};

use super::{
    failure::Failure,
    project::Project,
    repeat::{Report, repeat},
};

/// How many lines of changes a watch shows.
const SHOWN_CHANGES: usize = 10;

pub async fn run(global: &Global, asked: &cli::Status, output: Output) -> Result<Outcome, Failure> {
    let project = Project::load(global, output, false)?;
    let mut inspect = project.inspect(global)?;
    let mut history = project.workdir.history(&project.topology.name);
    let (mut watch, mut kept) = (Watch::default(), false);
    repeat(asked.watch, output, async || {
        inspect.inventory = project.inventory()?;
        let federated = project.workdir.federated()?;
        if kept {
            // others may have looked since
            history = project.workdir.history(&project.topology.name);
        }
        let mut status = inspect.status(&project.topology, &federated, &history).await?;
        let now = Timestamp::now();
        history.look(&mut status.links, now);
        // where nothing can be written, the next run knows less, and this one is as good
        kept = project.workdir.keep(&history).is_ok();
        if asked.watch && matches!(asked.output, Format::Table | Format::Wide) {
            let at = now.to_zoned(TimeZone::system());
            return Ok(watch.report(&status, &at, extent(asked), Output::redraws()));
        }
        let body = match asked.output {
            Format::Table | Format::Wide => text::render(&status, extent(asked)),
            Format::Json => output::json(&status)?,
            Format::Yaml => output::yaml(&status)?,
        };
        Ok(Report { body, tail: String::new(), outcome: outcome(&status) })
    })
    .await
}

fn extent(asked: &cli::Status) -> Extent {
    match (asked.problems, asked.output) {
        (true, _) => Extent::Problems,
        (false, Format::Wide) => Extent::Wide,
        (false, Format::Table | Format::Json | Format::Yaml) => Extent::Summary,
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
