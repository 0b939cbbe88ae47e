//! What came of the topology's own tests, for people.

use std::fmt::Write;

use owo_colors::OwoColorize;

use fedctl_model::{
    counted::counted,
    expectation::{Arrival, TestReport, TestState, TestsReport},
};

/// A line for each test, what is wrong under it, and how many passed.
#[must_use]
pub fn render(report: &TestsReport) -> String {
    let width = report.tests.iter().map(|test| test.name.chars().count()).max().unwrap_or_default();
    let mut text: String = report.tests.iter().map(|test| line(test, width)).collect();
    text = report.warnings.iter().fold(text, |text, warning| text + &super::probe::left(warning));
    let passed = report.count(TestState::Passed);
    let all = counted(report.tests.len(), "test");
    writeln!(text, "\n{passed} of {all} passed in {:.1} s", report.seconds).ok();
    text
}

fn line(found: &TestReport, width: usize) -> String {
    let (mark, word) = match found.state {
        TestState::Passed => ("✓".green().to_string(), arrivals(found)),
        TestState::Failed => ("✗".red().to_string(), "failed".red().to_string()),
        TestState::NotRun => ("?".yellow().to_string(), "not run".yellow().to_string()),
    };
    let mut text = format!("{mark} {:<width$}  {:>5.2} s  {word}\n", found.name, found.seconds);
    for failure in &found.failures {
        writeln!(text, "    {}", failure.message).ok();
        for cause in &failure.causes {
            writeln!(text, "        {cause}").ok();
        }
    }
    text
}

/// How many arrived where they were expected.
fn arrivals(test: &TestReport) -> String {
    let expected = test.arrivals.iter().filter(|found| found.expected.is_some_and(|expected| expected > 0));
    let arrived = expected.map(|Arrival { region, arrived, copies, last_ms, .. }| {
        let after = last_ms.map_or_else(String::new, |after| format!(" after {after:.1} ms"));
        format!("{} in {region}{after}", arrived + copies)
    });
    arrived.collect::<Vec<_>>().join(", ")
}
