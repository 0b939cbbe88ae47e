//! A page for every code, from what `fedctl explain` prints.

use std::fmt::Write;

use super::{Code, Severity};

/// What a hundred of codes is about.
const SUBJECTS: [(&str, &str); 9] = [
    ("FED01", "Errors in the topology's file"),
    ("FED02", "Warnings about the topology's file"),
    ("FED03", "Links"),
    ("FED04", "Queues"),
    ("FED05", "What blocks a plan"),
    ("FED06", "Brokers that do not answer, or not fully"),
    ("FED07", "Probes"),
    ("FED08", "What brokers hold"),
    ("FED09", "What an import cannot say"),
];

/// The names of the files, and what is in them: one for each code, and the list of all.
#[must_use]
pub fn pages() -> Vec<(String, String)> {
    let codes = Code::all();
    let each = codes.iter().map(|code| (format!("{code}.md"), page(*code)));
    each.chain([("README.md".to_owned(), list(&codes))]).collect()
}

fn page(code: Code) -> String {
    let (severity, subject) = (severity(code), subject(code));
    let explanation = code.explanation();
    format!("# {code}\n\n*{subject} · {severity}*\n\n{explanation}\n\n[All codes](README.md)\n")
}

fn list(codes: &[Code]) -> String {
    let mut text = "# Codes\n\nWhat fedctl reports as wrong. `fedctl explain CODE` prints the same text; `fedctl explain \
                    --pages docs/checks` writes these pages.\n"
        .to_owned();
    for (hundred, subject) in SUBJECTS {
        write!(text, "\n## {subject}\n\n| code | severity | |\n| --- | --- | --- |\n").ok();
        for code in codes.iter().filter(|code| code.as_str().starts_with(hundred)) {
            let first = code.explanation().split(". ").next().unwrap_or_default();
            let first = first.trim_end_matches('.').replace('|', "\\|");
            writeln!(text, "| [{code}]({code}.md) | {} | {first} |", severity(*code)).ok();
        }
    }
    text
}

fn severity(code: Code) -> &'static str {
    match code.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn subject(code: Code) -> &'static str {
    let found = SUBJECTS.iter().find(|(hundred, _)| code.as_str().starts_with(hundred));
    found.map_or("", |(_, subject)| subject)
}
