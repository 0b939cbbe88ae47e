//! What is wrong with a `regions.yaml`, and where.

use std::{cmp::Reverse, ops::Range};

use crate::diagnostic::{Code, Diagnostic, Place, Position, Severity};

/// The findings in one text, as they are collected.
pub(super) struct Findings<'t> {
    /// The text behind its byte order mark; spans are collected relative to it.
    text: &'t str,
    skipped: usize,
    list: Vec<(usize, Diagnostic)>,
}

impl<'t> Findings<'t> {
    pub(super) fn new(whole: &'t str) -> Self {
        let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
        Self { text, skipped: whole.len() - text.len(), list: Vec::new() }
    }

    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// Adds a finding about `span`, of which the first line is shown.
    pub(super) fn add(&mut self, code: Code, span: &Range<usize>, message: String, help: Option<String>) {
        let start = boundary(self.text, span.start);
        let end = boundary(self.text, span.end).max(start);
        let end = self.text[start..end].find(['\r', '\n']).map_or(end, |length| start + length);
        let position = Position {
            span: start + self.skipped..end + self.skipped,
            line: self.line(start),
            column: self.text[..start].rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1,
        };
        let finding = Diagnostic::new(code, Place::File(position), message);
        self.list.push((start, Diagnostic { help, ..finding }));
    }

    /// The line of a byte of the text, counted from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        self.text[..boundary(self.text, byte)].matches('\n').count() + 1
    }

    pub(super) fn has_errors(&self) -> bool {
        self.list.iter().any(|(_, finding)| finding.severity == Severity::Error)
    }

    /// The findings, worst first and then by place.
    ///
    /// A value that aliases repeat is checked once for every place it is used in; what is wrong
    /// with it is reported once.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort_by(|(start, one), (other_start, other)| {
            let rank = |start, finding: &Diagnostic| (Reverse(finding.severity), start, finding.code);
            rank(*start, one).cmp(&rank(*other_start, other)).then_with(|| one.message.cmp(&other.message))
        });
        self.list.dedup();
        self.list.into_iter().map(|(_, finding)| finding).collect()
    }
}

/// The nearest character boundary at or before `byte`.
fn boundary(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|byte| text.is_char_boundary(*byte)).unwrap_or_default()
}

/// A value of the user's in backticks: short, on one line, and with nothing that a terminal obeys.
pub(super) fn quoted(value: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = value.chars().take(LONGEST).flat_map(shown_char).collect();
    if value.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

fn shown_char(c: char) -> Box<dyn Iterator<Item = char>> {
    if c.is_control() { Box::new(c.escape_default()) } else { Box::new(std::iter::once(c)) }
}

/// Several values in backticks, separated by commas.
pub(super) fn listed<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// "did you mean …" if one of the known words is close, else the list of known words.
pub(super) fn suggestion<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    introduction: &str,
) -> String {
    const NEAR: f64 = 0.8;
    let known: Vec<&str> = known.into_iter().collect();
    let plain = |word: &str| word.to_lowercase().replace('_', "-");
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&plain(word), &plain(candidate)), candidate))
        .filter(|(nearness, _)| *nearness >= NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map_or_else(
            || format!("{introduction} {}", listed(known.iter().copied())),
            |(_, candidate)| format!("did you mean {}?", quoted(candidate)),
        )
}
