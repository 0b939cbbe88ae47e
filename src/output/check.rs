//! What checks found, for people.

use std::{collections::BTreeSet, fmt::Write};

use owo_colors::OwoColorize;

use fedctl_model::{
    check::Checks,
    counted::counted,
    diagnostic::{Code, Diagnostic, Place, Severity},
};

use super::findings;

/// What was found, by place: in the file with its lines, then on the brokers. With `wide` what each code means, once.
/// Then how much was looked for and found.
#[must_use]
pub fn render(checks: &Checks, text: &str, path: &str, wide: bool) -> String {
    let is_in_file = |found: &&Diagnostic| matches!(found.place, Place::File(_));
    let (in_file, elsewhere): (Vec<&Diagnostic>, Vec<&Diagnostic>) =
        checks.diagnostics.iter().partition(is_in_file);
    let mut shown = String::new();
    if !in_file.is_empty() {
        let in_file: Vec<Diagnostic> = in_file.into_iter().cloned().collect();
        writeln!(shown, "{}", findings::render(&in_file, text, path, true)).ok();
    }
    let mut place = None;
    for found in without_repeats(&elsewhere) {
        if place != Some(&found.place) {
            place = Some(&found.place);
            writeln!(shown, "{}{}", found.place, others(found, &elsewhere)).ok();
        }
        shown += &finding(found);
    }
    if wide {
        shown += &explanations(checks);
    }
    let (errors, warnings) = (counted(checks.errors, "error"), counted(checks.warnings, "warning"));
    if !shown.is_empty() {
        shown.push('\n');
    }
    writeln!(shown, "{}, {errors}, {warnings}", counted(checks.checks, "check")).ok();
    shown
}

/// Of links of which the same is so only the first.
fn without_repeats<'a>(found: &[&'a Diagnostic]) -> Vec<&'a Diagnostic> {
    let mut told: Vec<&Diagnostic> = Vec::new();
    for one in found {
        if !told.iter().any(|other| is_so_of_both(one, other)) {
            told.push(one);
        }
    }
    told
}

/// How many other links there are of which the same is so.
fn others(one: &Diagnostic, found: &[&Diagnostic]) -> String {
    match found.iter().filter(|other| is_so_of_both(one, other)).count() {
        0 | 1 => String::new(),
        count => format!(" and {}", counted(count - 1, "other")),
    }
}

fn is_so_of_both(one: &Diagnostic, other: &Diagnostic) -> bool {
    let of = |found: &Diagnostic| (found.code, found.message.clone());
    matches!((&one.place, &other.place), (Place::Link(_), Place::Link(_))) && of(one) == of(other)
}

fn finding(found: &Diagnostic) -> String {
    let sign = match found.severity {
        Severity::Error => "✗".red().to_string(),
        Severity::Warning => "!".yellow().to_string(),
    };
    let cause = found.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
    let help = found.help.as_ref().map(|help| format!("    help: {help}\n")).unwrap_or_default();
    format!("  {sign} {}{cause} ({})\n{help}", found.message, found.code)
}

fn explanations(checks: &Checks) -> String {
    let codes: BTreeSet<Code> = checks.diagnostics.iter().map(|found| found.code).collect();
    codes.into_iter().fold(String::new(), |text, code| text + &format!("\n{code}\n{}\n", code.explanation()))
}
