//! What changed between two looks, for people.

use std::{collections::VecDeque, fmt::Display};

use jiff::Zoned;

use fedctl_model::{
    diagnostic::Diagnostic,
    status::{Change, LinkRef, LinkState, Status},
};

use super::{
    explained,
    links::{state, subject_in_line},
    regions::{broker_state, service_state},
};

/// A line with the time for each thing that a look found changed; links that changed alike are one.
#[must_use]
pub fn changes(at: &Zoned, changes: &[Change]) -> Vec<String> {
    let at = time(at);
    describe(changes).into_iter().map(|line| format!("{at} {line}\n")).collect()
}

/// What changed since a watch began.
#[must_use]
pub fn changed_since(began: &Zoned, changes: &VecDeque<String>) -> String {
    let none = if changes.is_empty() { ": none" } else { "" };
    let lines = changes.iter().map(String::as_str).collect::<String>();
    format!("\nCHANGES since {}{none}\n{lines}", time(began))
}

/// Of which project a report is, and of when.
#[must_use]
pub fn heading(status: &Status, at: &Zoned) -> String {
    format!("{} at {}, again every second\n\n", status.project, time(at))
}

fn time(at: &Zoned) -> impl Display {
    at.strftime("%H:%M:%S")
}

fn describe(changes: &[Change]) -> Vec<String> {
    let mut shown = Vec::new();
    let mut links: Vec<(String, Vec<&LinkRef>)> = Vec::new();
    for change in changes {
        match change {
            Change::Broker { region, before, after } => {
                shown.push(format!("{region}: {} → {}", broker_state(*before), broker_state(*after)));
            }
            Change::Alarms { region, alarms } if alarms.is_empty() => {
                shown.push(format!("{region}: no alarm any more"));
            }
            Change::Alarms { region, alarms } => {
                shown.push(format!("{region}: {} alarm", alarms.join(" and ")));
            }
            Change::Service { region, before, after } => {
                let (name, error) = (&after.name, after.error.as_ref());
                let error = error.map_or_else(String::new, |error| format!(": {error}"));
                let states = (service_state(before), service_state(after));
                shown.push(format!("{region}, {name}: {} → {}{error}", states.0, states.1));
            }
            Change::Link { link, before, after, error } => {
                let change = link_change(*before, *after, error.as_ref());
                match links.iter_mut().find(|(known, _)| *known == change) {
                    Some((_, links)) => links.push(link),
                    None => links.push((change, vec![link])),
                }
            }
        }
    }
    shown.extend(links.into_iter().map(|(change, links)| format!("{}: {change}", subject_in_line(&links))));
    shown
}

fn link_change(before: Option<LinkState>, after: Option<LinkState>, error: Option<&Diagnostic>) -> String {
    let error =
        error.map_or_else(String::new, |error| format!(": {}", explained(&error.message, Some(error.code))));
    match (before, after) {
        (Some(before), Some(after)) if before == after => format!("still {}{error}", state(after)),
        (Some(before), Some(after)) => format!("{} → {}{error}", before.as_str(), state(after)),
        (None, Some(after)) => format!("new, {}{error}", state(after)),
        (Some(before), None) => format!("gone, was {}", before.as_str()),
        (None, None) => String::new(),
    }
}
