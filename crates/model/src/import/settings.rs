//! The settings that all upstreams have in common.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{codes, links::Link};
use crate::{
    diagnostic::Diagnostic,
    site::CONNECTION_TIMEOUT,
    topology::{CleanupMode, UpstreamSettings},
};

/// The settings of an upstream that a topology can say.
const SETTINGS: [&str; 10] = [
    "ack-mode",
    "bind-nowait",
    "expires",
    "max-hops",
    "message-ttl",
    "prefetch-count",
    "queue-type",
    "reconnect-delay",
    "resource-cleanup-mode",
    "trust-user-id",
];
const HEARTBEAT: &str = "heartbeat";

/// The settings of most of these upstreams.
pub(super) fn common(links: &[Link<'_>], diagnostics: &mut Vec<Diagnostic>) -> UpstreamSettings {
    let of_links: Vec<Map<String, Value>> = links.iter().map(all_of).collect();
    let mut common = Map::new();
    for key in SETTINGS.into_iter().chain([HEARTBEAT]) {
        // within one broker there is no connection with a heartbeat
        let having = of_links.iter().filter(|settings| key != HEARTBEAT || settings.contains_key(key));
        if let Some(value) = most(having.map(|settings| settings.get(key))) {
            common.insert(key.to_owned(), value.clone());
        }
    }
    for (link, own) in links.iter().zip(&of_links) {
        differing(link, own, &common, diagnostics);
    }
    readable(common)
}

/// Those of one upstream, with what RabbitMQ takes for those that are left out.
fn all_of(link: &Link<'_>) -> Map<String, Value> {
    let mut settings = link.definition.completed().settings;
    for value in settings.values_mut() {
        // a broker may answer `5.0` where `5` was put
        if let Some(whole) = value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is whole and not negative"
            )]
            let whole = whole as u64;
            *value = whole.into();
        }
    }
    let heartbeat = link.settled.target.parameters.get(HEARTBEAT);
    if let Some(heartbeat) = heartbeat.and_then(|seconds| seconds.parse::<u64>().ok()) {
        settings.insert(HEARTBEAT.into(), heartbeat.into());
    }
    settings
}

/// The value that most have, and of several the first; none where most leave it out.
fn most<'v>(values: impl Iterator<Item = Option<&'v Value>>) -> Option<&'v Value> {
    let mut counts: Vec<(Option<&Value>, usize)> = Vec::new();
    for value in values {
        match counts.iter_mut().find(|(known, _)| *known == value) {
            Some((_, count)) => *count += 1,
            None => counts.push((value, 1)),
        }
    }
    let highest = counts.iter().map(|(_, count)| *count).max()?;
    counts.into_iter().find(|(_, count)| *count == highest)?.0
}

/// What one upstream has otherwise, or that no topology can say.
fn differing(
    link: &Link<'_>,
    own: &Map<String, Value>,
    common: &Map<String, Value>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let plan = "`fedctl plan --adopt` shows what becomes of it";
    for key in SETTINGS.into_iter().chain([HEARTBEAT]) {
        let (mine, theirs) = (own.get(key), common.get(key));
        if mine != theirs && (key != HEARTBEAT || mine.is_some()) {
            let shown = |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), ToString::to_string);
            let message = format!("has {key} {}, and most have {}", shown(mine), shown(theirs));
            diagnostics.push(Diagnostic::new(codes::SETTING_DIFFERS, link.place(), message).help(plan));
        }
    }
    let given = link.definition.settings.keys();
    let unknown = given.filter(|key| !SETTINGS.contains(&key.as_str())).map(|key| format!("`{key}`"));
    let connect = link.settled.target.parameters.get("connection_timeout");
    let slow = connect.filter(|timeout| *timeout != CONNECTION_TIMEOUT);
    let slow = slow.map(|timeout| format!("`connection_timeout={timeout}` in its URI"));
    for what in unknown.chain(slow) {
        let message = format!("has {what}, which a topology cannot say");
        diagnostics.push(Diagnostic::new(codes::UNKNOWN_SETTING, link.place(), message).help(plan));
    }
}

/// Settings as a topology has them. A value that it does not take is left out: RabbitMQ has few that it does not.
fn readable(common: Map<String, Value>) -> UpstreamSettings {
    if common.is_empty() {
        return UpstreamSettings::default();
    }
    let each = common.into_iter().filter(|(key, value)| {
        let one = BTreeMap::from([(key, value)]);
        serde_json::to_value(one).is_ok_and(|one| serde_json::from_value::<UpstreamSettings>(one).is_ok())
    });
    let all: Map<String, Value> = each.collect();
    let cleanup = all.contains_key("resource-cleanup-mode");
    let mut settings: UpstreamSettings = serde_json::from_value(Value::Object(all)).unwrap_or_default();
    if !cleanup {
        settings.resource_cleanup_mode = CleanupMode::Default;
    }
    settings
}
