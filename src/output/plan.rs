//! A plan for people.

use std::fmt::Write;

use owo_colors::OwoColorize;

use fedctl_model::{
    diagnostic::Diagnostic,
    plan::{Plan, Sign},
};

/// Every step with its sign, cause and risk, then what stands in the way, then the counts.
#[must_use]
pub fn render(plan: &Plan) -> String {
    if plan.is_empty() {
        return "nothing to do: everything is as the topology says\n".into();
    }
    let mut text = String::new();
    for line in plan.to_string().lines() {
        let colored = match line.chars().next() {
            Some('+') => line.green().to_string(),
            Some('-' | '!') => line.red().to_string(),
            Some('~') => line.yellow().to_string(),
            _ => line.dimmed().to_string(),
        };
        writeln!(text, "{colored}").ok();
    }
    let count = |sign| plan.steps.iter().filter(|planned| planned.sign() == sign).count();
    let (add, change, remove) = (count(Sign::Add), count(Sign::Change), count(Sign::Remove));
    writeln!(text, "\n{add} to add, {change} to change, {remove} to remove, {} blocked", plan.blocked.len())
        .ok();
    if plan.provisional {
        writeln!(text, "brokers that do not answer, or images that are missing: when they are there, `up` plans once more").ok();
    }
    text
}

/// What stands in the way.
#[must_use]
pub fn blocked(blocked: &[Diagnostic]) -> String {
    blocked.iter().fold(String::new(), |mut text, blocked| {
        writeln!(text, "{} {blocked} ({})", "blocked:".red().bold(), blocked.code).ok();
        if let Some(help) = &blocked.help {
            writeln!(text, "  {} {help}", "hint:".cyan().bold()).ok();
        }
        text
    })
}
