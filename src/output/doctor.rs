//! Checks, for people.

use std::fmt::Write;

use owo_colors::OwoColorize;

use fedctl_model::{
    counted::counted,
    doctor::{Doctor, Verdict},
};

/// A line for each check, in groups, and what to do where one did not go well.
#[must_use]
pub fn render(doctor: &Doctor) -> String {
    let mut text = String::new();
    let mut group = "";
    for check in &doctor.checks {
        if check.group != group {
            group = &check.group;
            writeln!(text, "{group}").ok();
        }
        let sign = match check.verdict {
            Verdict::Good => "✓".green().to_string(),
            Verdict::Unknown => "?".yellow().to_string(),
            Verdict::Warning => "!".yellow().to_string(),
            Verdict::Bad => "✗".red().to_string(),
        };
        writeln!(text, "  {sign} {}", check.text).ok();
        if let Some(help) = &check.help {
            writeln!(text, "    help: {help}").ok();
        }
    }
    let count = |verdict| doctor.checks.iter().filter(|check| check.verdict == verdict).count();
    let (bad, warnings) = (count(Verdict::Bad), count(Verdict::Warning));
    writeln!(text, "\n{}, {}", counted(bad, "problem"), counted(warnings, "warning")).ok();
    text
}
