//! One request's path through services and regions, from what the services logged.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::topology::{LogFields, RegionName};

/// The version of the JSON format. Within a version, fields are only added.
const FORMAT_VERSION: u32 = 1;

/// Everything that `fedctl trace` reports.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Trace {
    /// The version of this format.
    pub version: u32,
    /// The correlation identifier.
    pub correlation_id: String,
    /// What services did, in order of time.
    pub steps: Vec<Step>,
}

/// Something that a service did.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Step {
    /// When, by the service's own clock, RFC 3339.
    pub at: String,
    /// Milliseconds since the first step.
    pub after_ms: f64,
    /// Where.
    pub region: RegionName,
    /// The instance of the service within the region.
    pub service: String,
    /// What: the event of the log line.
    pub event: String,
    /// The other fields of the line.
    pub fields: Map<String, Value>,
}

/// The JSON schema of a [`Trace`], for programs that read it.
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(Trace).to_value()
}

/// Picks the lines about one request out of what services logged: region, service and line.
#[must_use]
pub fn trace<'l>(
    correlation_id: &str,
    names: &LogFields,
    lines: impl Iterator<Item = (&'l RegionName, &'l str, &'l str)>,
) -> Trace {
    let mut found: Vec<(jiff::Timestamp, Step)> = lines
        .filter_map(|(region, service, line)| step(correlation_id, names, region, service, line))
        .collect();
    found.sort_by_key(|(at, _)| *at);
    let first = found.first().map(|(at, _)| *at);
    let steps = found.into_iter().map(|(at, step)| {
        let after_ms = first.map_or(0.0, |first| at.duration_since(first).as_secs_f64() * 1000.0);
        Step { after_ms, ..step }
    });
    Trace { version: FORMAT_VERSION, correlation_id: correlation_id.to_owned(), steps: steps.collect() }
}

fn step(
    correlation_id: &str,
    names: &LogFields,
    region: &RegionName,
    service: &str,
    line: &str,
) -> Option<(jiff::Timestamp, Step)> {
    // most lines are about something else, and reading them as JSON costs more than this
    if !line.contains(correlation_id) {
        return None;
    }
    let mut fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    if fields.get(names.correlation_id).and_then(Value::as_str) != Some(correlation_id) {
        return None;
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (at, event) = (text(names.at), text(names.event));
    let time = at.parse().ok()?;
    let LogFields { at: when, level, region: place, service: who, event: what, correlation_id: id } = *names;
    fields.retain(|name, value| {
        ![when, level, place, who, what, id].contains(&name.as_str()) && !value.is_null()
    });
    Some((
        time,
        Step { at, after_ms: 0.0, region: region.clone(), service: service.to_owned(), event, fields },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: LogFields = LogFields {
        at: "at",
        level: "level",
        region: "region",
        service: "service",
        event: "event",
        correlation_id: "correlation_id",
    };

    #[test]
    fn only_the_requests_own_lines_are_shown_in_order_of_time() {
        let line = |at: &str, id: &str, event: &str| {
            format!(
                r#"{{"at":"2026-01-01T00:00:0{at}Z","event":"{event}","correlation_id":"{id}","tax":null,"n":1}}"#
            )
        };
        let lines = [
            ("asia", line("2.500000", "a", "answered")),
            ("asia", line("1.500000", "b", "answered")),
            ("europe", line("1.000000", "a", "asked")),
            ("europe", r#"{"at":"2026-01-01T00:00:03Z","event":"talks of a"}"#.to_owned()),
            ("europe", "no JSON that mentions a".to_owned()),
        ];
        let lines: Vec<_> = lines.map(|(region, line)| (RegionName::new(region), line)).into();
        let trace = trace("a", &FIELDS, lines.iter().map(|(region, line)| (region, "taxes", line.as_str())));
        let steps: Vec<_> = trace
            .steps
            .iter()
            .map(|step| (step.region.as_str(), step.event.as_str(), step.after_ms, step.fields.len()))
            .collect();
        assert_eq!(steps, [("europe", "asked", 0.0, 1), ("asia", "answered", 1500.0, 1)]);
    }
}
