//! A request's path, for people.

use std::fmt::Write;

use owo_colors::OwoColorize;
use serde_json::Value;

use fedctl_model::trace::{Step, Trace};

/// One line a step: when, where, who, what.
#[must_use]
pub fn render(trace: &Trace) -> String {
    let width = |of: fn(&Step) -> usize| trace.steps.iter().map(of).max().unwrap_or_default();
    let region = width(|step| step.region.as_str().len());
    let service = width(|step| step.service.len());
    let mut text = String::new();
    for step in &trace.steps {
        let after = format!("{:.1} ms", step.after_ms);
        let (place, who) = (step.region.as_str(), step.service.as_str());
        writeln!(
            text,
            "{:>11}  {place:<region$}  {who:<service$}  {}  {}",
            after.dimmed(),
            step.event.bold(),
            details(step).dimmed()
        )
        .ok();
    }
    text
}

fn details(step: &Step) -> String {
    let field = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}={text}"),
        Value::Array(values) if values.is_empty() => String::new(),
        Value::Bool(false) => String::new(),
        Value::Null | Value::Bool(true) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            format!("{name}={value}")
        }
    };
    let fields: Vec<String> = step
        .fields
        .iter()
        .filter(|(name, _)| *name != "message_id")
        .map(field)
        .filter(|text| !text.is_empty())
        .collect();
    fields.join(" ")
}
