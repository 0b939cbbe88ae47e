//! A status for people.

mod changes;
mod links;
mod regions;

use std::fmt::Write;

use owo_colors::OwoColorize;

use fedctl_model::{
    counted::counted,
    diagnostic::{Code, Place},
    status::{LinkCounts, Status},
};

pub use changes::{changed_since, changes, heading};
use links::{by_region, every_link, link_problems, matrix, pairs};
use regions::{region_problems, regions};

/// Above this many regions their links are shown as a matrix.
const MATRIX_FROM: usize = 4;
/// Above this many, a matrix is wider than a terminal.
const MATRIX_TO: usize = 20;

/// More links than this that exceed one limit are counted, and not named.
const NAMED_WARNINGS: usize = 5;

/// How much of a status is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Links that run are counted, others are named.
    Summary,
    /// Every link has a line.
    Wide,
    /// Only what is wrong.
    Problems,
}

/// A status, and how many links run.
#[must_use]
pub fn render(status: &Status, extent: Extent) -> String {
    tables(status, extent) + &totals(status)
}

/// A status without how many links run.
#[must_use]
pub fn tables(status: &Status, extent: Extent) -> String {
    if extent == Extent::Problems {
        let text = region_problems(status) + &link_problems(status) + &warnings(status);
        return if text.is_empty() { "no problems\n".into() } else { text };
    }
    let wide = extent == Extent::Wide;
    let mut text = regions(status, wide);
    text += &region_problems(status);
    text.push('\n');
    text += &match (wide, status.regions.len()) {
        (true, _) => every_link(status),
        (false, ..=MATRIX_FROM) => pairs(status),
        (false, ..=MATRIX_TO) => matrix(status),
        (false, _) => by_region(status),
    };
    if !wide {
        text += &link_problems(status);
    }
    text + &warnings(status)
}

/// How many links run: of those that are required, whoever answers.
#[must_use]
pub fn totals(status: &Status) -> String {
    format!("\n{}\n", counts(status))
}

/// How many links run, in a few words.
#[must_use]
pub fn counts(status: &Status) -> String {
    let Some(LinkCounts { expected, running: up, paused, unknown, unexpected }) = status.count_links() else {
        return "no links are known: no region answers, and no `fedctl up` has finished here".into();
    };
    if expected + unexpected == 0 {
        return running(0, status.regions.len());
    }
    let mut text = format!("{up} of {} running", counted(expected, "link"));
    if paused > 0 {
        write!(text, ", {paused} paused").ok();
    }
    if unknown > 0 {
        write!(text, ", {unknown} unknown").ok();
    }
    if unexpected > 0 {
        write!(text, ", {unexpected} unexpected").ok();
    }
    text
}

/// That so many links run between so many regions, and all of them.
#[must_use]
pub fn running(links: usize, regions: usize) -> String {
    match (links, regions) {
        (0, 0 | 1) => "no links: they need two regions".into(),
        (0, _) => {
            "no links: nothing is federated yet, since no exchange or queue matches a policy's pattern".into()
        }
        _ => format!("{} running", counted(links, "link")),
    }
}

/// What works and is not as it should be. Of many links that exceed a limit, those that do most are named.
fn warnings(status: &Status) -> String {
    let mut text = String::new();
    for same in status.warnings.chunk_by(|one, other| one.code == other.code) {
        let are_links = same.iter().all(|warning| matches!(warning.place, Place::Link(_)));
        let named = if are_links { NAMED_WARNINGS } else { same.len() };
        for warning in same.iter().take(named) {
            let help = warning.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
            writeln!(text, "{} {warning}{help} ({})", "!".yellow(), warning.code).ok();
        }
        if let Some(more) = same.len().checked_sub(named).filter(|more| *more > 0) {
            writeln!(text, "{} and {} ({})", "!".yellow(), counted(more, "more link"), same[0].code).ok();
        }
    }
    text
}

/// An error with the code by which `fedctl explain` explains it.
fn explained(error: &str, code: Option<Code>) -> String {
    code.map_or_else(|| error.to_owned(), |code| format!("{error} ({code})"))
}

/// Seconds as people say them: `42s`, `7m`, `3h`, `12d`.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
