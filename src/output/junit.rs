//! The same as build servers read it: the XML of `JUnit`.

use std::fmt::Write;

use fedctl_model::expectation::{TestReport, TestState, TestsReport};

/// A suite of the project's name, with a case for each test.
#[must_use]
pub fn render(report: &TestsReport) -> String {
    let counts = format!(
        "name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\"",
        escaped(&report.project),
        report.tests.len(),
        report.count(TestState::Failed),
        report.count(TestState::NotRun),
        report.seconds
    );
    let cases: String = report.tests.iter().map(|test| case(&report.project, test)).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite {counts}>\n{cases}  </testsuite>\n</testsuites>\n"
    )
}

fn case(project: &str, found: &TestReport) -> String {
    let mut text = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        escaped(project),
        escaped(&found.name),
        found.seconds
    );
    let kind = match found.state {
        TestState::Passed => return text + "/>\n",
        TestState::Failed => "failure",
        TestState::NotRun => "error",
    };
    let lines = found.failures.iter().flat_map(|failure| {
        let causes = failure.causes.iter().map(|cause| format!("  {cause}"));
        [failure.message.clone()].into_iter().chain(causes)
    });
    let lines = lines.collect::<Vec<_>>().join("\n");
    let first = found.failures.first().map(|failure| failure.message.as_str()).unwrap_or_default();
    let (message, lines) = (escaped(first), escaped(&lines));
    write!(text, ">\n      <{kind} message=\"{message}\">{lines}</{kind}>\n    </testcase>\n").ok();
    text
}

/// Text as it may be between tags and in an attribute. XML has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            control if control.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}
