//! A plan for people.

use std::fmt::Write;

use owo_colors::OwoColorize;

use fedctl_model::{
    diagnostic::Diagnostic,
    plan::{Plan, Sign},
};

/// Every step with its sign, cause and risk, then what blocks it, then the counts.
#[must_use]
pub fn render(plan: &Plan) -> String {
    if plan.is_empty() {
        return "nothing to do: everything matches the topology\n".into();
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
        writeln!(
            text,
            "provisional: `up` plans again once unreachable brokers answer and missing images are present"
        )
        .ok();
    }
    text
}

/// What a file made of brokers does not say.
#[must_use]
pub fn unsaid(found: &[Diagnostic]) -> String {
    found.iter().fold(String::new(), |mut text, found| {
        writeln!(text, "{} {found} ({})", "warning:".yellow().bold(), found.code).ok();
        if let Some(help) = &found.help {
            writeln!(text, "  {} {help}", "hint:".cyan().bold()).ok();
        }
        text
    })
}

/// What blocks the plan.
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
