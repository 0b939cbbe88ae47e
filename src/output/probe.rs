//! What a probe found, for people.

use std::{collections::BTreeMap, fmt::Write};

use owo_colors::OwoColorize;
use tabled::{builder::Builder, settings::Style};

use fedctl_model::{
    counted::counted,
    diagnostic::{Code, Diagnostic},
    observed::Resource,
    probe::{LinkProbe, ProbeReport, ProbeState},
    status::Condition,
    topology::RegionName,
};

/// A matrix for exchanges and one for queues, or a line for each link with `wide`; then what is wrong, and how many links
/// moved everything.
#[must_use]
pub fn render(report: &ProbeReport, wide: bool) -> String {
    let mut text = String::new();
    if wide {
        text += &every_link(report);
    } else {
        for kind in ["exchange", "queue"] {
            text += &matrix(report, kind);
        }
        text += &problems(report);
    }
    text = report.warnings.iter().fold(text, |text, warning| text + &left(warning));
    // a matrix ends with an empty line, and a list does not
    format!("{}\n\n{}", text.trim_end(), totals(report)).trim_start().to_owned()
}

/// A warning, such as what an interrupted probe could not remove.
#[must_use]
pub fn left(warning: &Diagnostic) -> String {
    let help = warning.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
    format!("{} {warning}{help} ({})\n", "!".yellow(), warning.code)
}

fn totals(report: &ProbeReport) -> String {
    let ProbeReport { links, count, seconds, .. } = report;
    if links.is_empty() {
        return if report.regions.len() < 2 {
            "no links: they need two regions\n".into()
        } else {
            "no links were probed\n".into()
        };
    }
    let of = |state: ProbeState| links.iter().filter(|link| link.state == state).count();
    let (moved, links, messages) =
        (of(ProbeState::Moved), counted(links.len(), "link"), counted(*count, "message"));
    let paused = match of(ProbeState::Paused) {
        0 => String::new(),
        1 => "; 1 is paused".into(),
        paused => format!("; {paused} are paused"),
    };
    format!("{moved} of {links} moved {messages}, each once, in {seconds:.1} s{paused}\n")
}

/// A row for each upstream and a column for each downstream: the slowest link of the pair, or what is wrong.
fn matrix(report: &ProbeReport, kind: &str) -> String {
    let links: Vec<&LinkProbe> =
        report.links.iter().filter(|found| kind_of(&found.link.resource) == kind).collect();
    if links.is_empty() {
        return String::new();
    }
    let mut table = Builder::new();
    let names = report.regions.iter().map(ToString::to_string);
    table.push_record(["UPSTREAM \\ DOWNSTREAM".to_owned()].into_iter().chain(names));
    for upstream in &report.regions {
        let of_pair = |downstream: &RegionName| {
            let of_pair = |found: &&&LinkProbe| {
                found.link.upstream == *upstream && found.link.downstream == *downstream
            };
            let found: Vec<&LinkProbe> = links.iter().filter(of_pair).copied().collect();
            cell(&found)
        };
        table.push_record([upstream.to_string()].into_iter().chain(report.regions.iter().map(of_pair)));
    }
    format!("{kind}s, p50 / p99\n{}\n\n", table.build().with(Style::blank()))
}

fn cell(links: &[&LinkProbe]) -> String {
    let Some(worst) = links.iter().map(|link| link.state).max() else { return "·".into() };
    let slowest = |time: fn(&LinkProbe) -> Option<f64>| {
        links.iter().filter_map(|link| time(link)).reduce(f64::max).unwrap_or_default()
    };
    let sum = |count: fn(&LinkProbe) -> usize| links.iter().map(|link| count(link)).sum::<usize>();
    match worst {
        ProbeState::Moved => {
            let (p50, p99) = (slowest(|link| link.p50_ms), slowest(|link| link.p99_ms));
            paint(worst, &format!("✓ {p50:.1} / {p99:.1} ms"))
        }
        ProbeState::Paused => paint(worst, "‖ paused"),
        ProbeState::NotProbed => paint(worst, "? not probed"),
        ProbeState::Duplicated => paint(worst, &format!("✗ {} duplicated", sum(|link| link.duplicated))),
        ProbeState::Lost => paint(worst, &format!("✗ {} lost", sum(|link| link.lost))),
    }
}

/// The links that did not move everything once: those of one cause under it, those of one pair in a line.
fn problems(report: &ProbeReport) -> String {
    type Cause = (ProbeState, String, Option<Code>);
    type Pair<'a> = (&'a RegionName, &'a RegionName);
    let mut causes: Vec<(Cause, Vec<&LinkProbe>)> = Vec::new();
    for found in report.links.iter().filter(|link| link.state != ProbeState::Moved) {
        let cause = (found.state, reason(found), found.code);
        match causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, links)) => links.push(found),
            None => causes.push((cause, vec![found])),
        }
    }
    let mut text = String::new();
    for ((found, error, code), links) in causes {
        writeln!(text, "{}  {}", state(found), explained(&error, code)).ok();
        let mut pairs: BTreeMap<Pair<'_>, Vec<String>> = BTreeMap::new();
        for LinkProbe { link, policy, .. } in links {
            let named = format!("{} (policy {policy})", kind_of(&link.resource));
            pairs.entry((&link.upstream, &link.downstream)).or_default().push(named);
        }
        for ((upstream, downstream), named) in pairs {
            writeln!(text, "    {upstream} → {downstream}  {}", named.join(", ")).ok();
        }
    }
    text
}

fn every_link(report: &ProbeReport) -> String {
    let mut table = Builder::new();
    table.push_record([
        "UPSTREAM",
        "DOWNSTREAM",
        "TYPE",
        "POLICY",
        "STATE",
        "P50",
        "P99",
        "PUBLISHED",
        "LOST",
        "DUPLICATED",
        "ERROR",
    ]);
    let time = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1} ms"));
    for found in &report.links {
        table.push_record([
            found.link.upstream.to_string(),
            found.link.downstream.to_string(),
            kind_of(&found.link.resource).to_owned(),
            found.policy.clone(),
            state(found.state),
            time(found.p50_ms),
            time(found.p99_ms),
            found.published.to_string(),
            found.lost.to_string(),
            found.duplicated.to_string(),
            explained(&reason(found), found.code),
        ]);
    }
    format!("{}\n", table.build().with(Style::blank()))
}

/// What is wrong with a link, or why it was not tried.
fn reason(found: &LinkProbe) -> String {
    match found.state {
        ProbeState::Paused => Condition::Paused.to_string(),
        ProbeState::Moved | ProbeState::NotProbed | ProbeState::Duplicated | ProbeState::Lost => {
            found.error.clone().unwrap_or_default()
        }
    }
}

fn explained(error: &str, code: Option<Code>) -> String {
    code.map_or_else(|| error.to_owned(), |code| format!("{error} ({code})"))
}

fn kind_of(resource: &Resource) -> &'static str {
    match resource {
        Resource::Exchange(_) => "exchange",
        Resource::Queue(_) => "queue",
    }
}

fn state(state: ProbeState) -> String {
    let text = match state {
        ProbeState::Moved => "✓ moved",
        ProbeState::Paused => "‖ not probed: paused",
        ProbeState::NotProbed => "? not probed",
        ProbeState::Duplicated => "✗ duplicated",
        ProbeState::Lost => "✗ lost",
    };
    paint(state, text)
}

fn paint(state: ProbeState, text: &str) -> String {
    match state {
        ProbeState::Moved => text.green().to_string(),
        ProbeState::Paused | ProbeState::NotProbed => text.yellow().to_string(),
        ProbeState::Duplicated | ProbeState::Lost => text.red().to_string(),
    }
}
