//! The links of a status, for people.

use std::{collections::BTreeMap, fmt::Write};

use owo_colors::OwoColorize;
use tabled::{builder::Builder, settings::Style};

use fedctl_model::{
    counted::counted,
    observed::Resource,
    status::{Activity, LinkRef, LinkState, LinkStatus, Status, Trend},
    topology::RegionName,
};

use super::{age, explained};

/// More pairs of regions than this are counted, and not named.
const NAMED_PAIRS: usize = 12;
/// More links than this with one cause are counted, and not named.
const NAMED_LINKS: usize = 3;
/// Seconds between a look that knew a link's state and the first one that did not, above which they are said.
const LONG_BEFORE: u64 = 120;

/// A line for each pair of regions.
pub(super) fn pairs(status: &Status) -> String {
    let mut pairs: BTreeMap<(&RegionName, &RegionName), Vec<&LinkStatus>> = BTreeMap::new();
    for link in &status.links {
        pairs.entry((&link.link.upstream, &link.link.downstream)).or_default().push(link);
    }
    let mut table = Builder::new();
    table.push_record(["UPSTREAM", "DOWNSTREAM", "STATE", "EXCHANGES", "QUEUES", "WAITING"]);
    for ((upstream, downstream), links) in &pairs {
        let count = |exchanges: bool| {
            let of_kind =
                links.iter().filter(|link| matches!(link.link.resource, Resource::Exchange(_)) == exchanges);
            let running = of_kind.clone().filter(|link| link.is_running()).count();
            format!("{running}/{}", of_kind.count())
        };
        let worst = links.iter().map(|link| link.state()).max().unwrap_or(LinkState::Running);
        let messages = links.iter().filter_map(|link| link.waiting).reduce(|sum, more| sum + more);
        let growth = links.iter().filter_map(|link| link.growth).reduce(|sum, more| sum + more);
        let record = [
            upstream.to_string(),
            downstream.to_string(),
            state(worst),
            count(true),
            count(false),
            backlog(messages, growth),
        ];
        table.push_record(record);
    }
    format!("{}\n", table.build().with(Style::blank()))
}

/// A row for each upstream and a column for each downstream: links that run of those that are required.
pub(super) fn matrix(status: &Status) -> String {
    let mut table = Builder::new();
    let names = || status.regions.iter().map(|region| region.name.to_string());
    table.push_record(["UPSTREAM \\ DOWNSTREAM".to_owned()].into_iter().chain(names()));
    for upstream in &status.regions {
        let cells = status.regions.iter().map(|downstream| {
            let required = status.links.iter().filter(|found| {
                found.link.upstream == upstream.name
                    && found.link.downstream == downstream.name
                    && found.state() != LinkState::Unexpected
            });
            let running = required.clone().filter(|link| link.is_running()).count();
            match (required.clone().count(), required.map(LinkStatus::state).max()) {
                (_, None) => "·".to_owned(),
                (all, Some(worst)) => format!("{} {running}/{all}", mark(worst)),
            }
        });
        table.push_record([upstream.name.to_string()].into_iter().chain(cells));
    }
    format!("{}\n", table.build().with(Style::blank()))
}

/// A line for each region, where there are too many for a matrix: its links as downstream and as upstream.
pub(super) fn by_region(status: &Status) -> String {
    let mut incoming: BTreeMap<&RegionName, Vec<&LinkStatus>> = BTreeMap::new();
    let mut outgoing: BTreeMap<&RegionName, Vec<&LinkStatus>> = BTreeMap::new();
    for found in status.links.iter().filter(|found| found.state() != LinkState::Unexpected) {
        incoming.entry(&found.link.downstream).or_default().push(found);
        outgoing.entry(&found.link.upstream).or_default().push(found);
    }
    let cell = |links: Option<&Vec<&LinkStatus>>| {
        let links = links.map_or(&[][..], Vec::as_slice);
        let running = links.iter().filter(|link| link.is_running()).count();
        let worst = links.iter().map(|link| link.state()).max();
        worst.map_or_else(|| "·".to_owned(), |worst| format!("{} {running}/{}", mark(worst), links.len()))
    };
    let mut table = Builder::new();
    table.push_record(["REGION", "FROM OTHERS", "TO OTHERS", "WAITING FOR OTHERS"]);
    for region in &status.regions {
        let to_others = outgoing.get(&region.name);
        let waiting =
            to_others.into_iter().flatten().filter_map(|link| link.waiting).reduce(|sum, more| sum + more);
        let growth =
            to_others.into_iter().flatten().filter_map(|link| link.growth).reduce(|sum, more| sum + more);
        table.push_record([
            region.name.to_string(),
            cell(incoming.get(&region.name)),
            cell(to_others),
            backlog(waiting, growth),
        ]);
    }
    format!("{}\n", table.build().with(Style::blank()))
}

/// The links that do not run, those of one cause in one line.
pub(super) fn link_problems(status: &Status) -> String {
    type Cause = (LinkState, String, String);
    let mut causes: Vec<(Cause, Vec<&LinkStatus>)> = Vec::new();
    for found in status.links.iter().filter(|link| !link.is_running()) {
        let code = found.diagnostic().map(|found| found.code);
        let cause = (found.state(), last_known(found), explained(&found.condition.to_string(), code));
        match causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, links)) => links.push(found),
            None => causes.push((cause, vec![found])),
        }
    }
    let mut text = String::new();
    for ((of, before, cause), links) in causes {
        let before = if before.is_empty() { before } else { format!(", {before}") };
        writeln!(text, "{}{}{before}  {cause}\n    {}", state(of), duration(&links), subject(&links)).ok();
    }
    text
}

/// For how long links have been as they are, if that is known of all of them.
fn duration(links: &[&LinkStatus]) -> String {
    let ages: Option<Vec<u64>> = links.iter().map(|link| link.age_seconds).collect();
    let ages = ages.unwrap_or_default();
    match (ages.iter().min(), ages.iter().max()) {
        // what this look is the first to see may be older than it
        (None, _) | (_, None | Some(0)) => String::new(),
        (Some(shortest), Some(longest)) if age(*shortest) == age(*longest) => {
            format!(" for {}", age(*longest))
        }
        (Some(shortest), Some(longest)) => format!(" for {} to {}", age(*shortest), age(*longest)),
    }
}

/// What an unknown link was before, if that is known.
fn last_known(link: &LinkStatus) -> String {
    let Some(known) = link.last_known else { return String::new() };
    let gap = known.age_seconds.saturating_sub(link.age_seconds.unwrap_or(0));
    let seen =
        if gap > LONG_BEFORE { format!(" (seen {} ago)", age(known.age_seconds)) } else { String::new() };
    format!("before that {}{seen}", known.state.as_str())
}

/// Which links: each by its name while they are few, otherwise how many between which regions.
fn subject(links: &[&LinkStatus]) -> String {
    if links.len() <= NAMED_LINKS {
        let names = links.iter().map(|found| {
            let LinkRef { upstream, downstream, resource } = &found.link;
            format!("{upstream} → {downstream}  {} {}", resource.kind(), resource.name())
        });
        return names.collect::<Vec<_>>().join("\n    ");
    }
    format!("{}: {}", counted(links.len(), "link"), between(links.iter().map(|found| &found.link)))
}

/// Between which regions, and how many.
fn between<'a>(links: impl Iterator<Item = &'a LinkRef>) -> String {
    let mut pairs: BTreeMap<(&RegionName, &RegionName), usize> = BTreeMap::new();
    for link in links {
        *pairs.entry((&link.upstream, &link.downstream)).or_default() += 1;
    }
    let named = if pairs.len() > NAMED_PAIRS { NAMED_LINKS } else { NAMED_PAIRS };
    let others = pairs.len().checked_sub(named).filter(|others| *others > 0);
    let others = others.map(|others| counted(others, "more pair"));
    let pairs =
        pairs.iter().map(|((upstream, downstream), count)| format!("{upstream} → {downstream} ({count})"));
    pairs.take(named).chain(others).collect::<Vec<_>>().join(", ")
}

/// Links in one line: each by its name while they are few.
pub(super) fn subject_in_line(links: &[&LinkRef]) -> String {
    if links.len() <= NAMED_LINKS {
        return links.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    }
    format!("{}, {}", counted(links.len(), "link"), between(links.iter().copied()))
}

/// Messages that wait, and how they grow or shrink, as far as either is known.
fn backlog(waiting: Option<u64>, growth: Option<f64>) -> String {
    let Some(waiting) = waiting else { return "-".into() };
    let messages = thousands(waiting);
    match growth.map(|growth| (Trend::of(growth), growth)) {
        Some((Trend::Growing, growth)) => format!("{messages} ↑ {growth:+.1}/s"),
        Some((Trend::Shrinking, growth)) => format!("{messages} ↓ {growth:+.1}/s"),
        Some((Trend::Steady, _)) if waiting > 0 => format!("{messages} steady"),
        Some((Trend::Steady, _)) | None => messages,
    }
}

/// `19,930`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

pub(super) fn every_link(status: &Status) -> String {
    let mut table = Builder::new();
    table.push_record(["UPSTREAM", "DOWNSTREAM", "TYPE", "NAME", "STATE", "SINCE", "WAITING", "ERROR"]);
    for found in &status.links {
        let LinkRef { upstream, downstream, resource } = &found.link;
        let error = found.diagnostic().map(|found| explained(&found.message, Some(found.code)));
        let notes = [last_known(found), error.unwrap_or_default()];
        let notes: Vec<String> = notes.into_iter().filter(|note| !note.is_empty()).collect();
        table.push_record([
            upstream.to_string(),
            downstream.to_string(),
            resource.kind().to_owned(),
            resource.name().to_owned(),
            found.activity.map_or_else(|| state(found.state()), activity),
            found.age_seconds.map_or_else(|| "-".into(), age),
            backlog(found.waiting, found.growth),
            notes.join("; "),
        ]);
    }
    format!("{}\n", table.build().with(Style::blank()))
}

pub(super) fn state(state: LinkState) -> String {
    paint(state, &format!("{} {}", mark_of(state), state.as_str()))
}

fn mark(state: LinkState) -> String {
    paint(state, mark_of(state))
}

fn mark_of(state: LinkState) -> &'static str {
    match state {
        LinkState::Running => "✓",
        LinkState::Paused => "‖",
        LinkState::Starting => "…",
        LinkState::Down => "✗",
        LinkState::Unknown | LinkState::Missing => "?",
        LinkState::Unexpected => "!",
    }
}

fn paint(state: LinkState, text: &str) -> String {
    match state {
        LinkState::Running => text.green().to_string(),
        LinkState::Paused | LinkState::Starting | LinkState::Unknown | LinkState::Unexpected => {
            text.yellow().to_string()
        }
        LinkState::Down | LinkState::Missing => text.red().to_string(),
    }
}

/// What a link that runs is doing.
fn activity(activity: Activity) -> String {
    match activity {
        Activity::Idle => "✓ idle".green().to_string(),
        Activity::Moving => "✓ moving".green().to_string(),
        Activity::Paused => "✓ paused".green().to_string(),
        Activity::Blocked => "! blocked".yellow().to_string(),
    }
}
