//! The kinds of diagnostics. Each is declared next to the check that reports it.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Severity;
use crate::{check, import, plan, probe, queues, site, status, topology};

/// A kind of diagnostic. Its text never changes its meaning, so that people can look it up. Its first two digits say
/// what it is about: [`pages`](super::pages) lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code {
    text: &'static str,
    severity: Severity,
    explanation: &'static str,
}

impl Code {
    /// A kind of error.
    pub(crate) const fn error(text: &'static str, explanation: &'static str) -> Self {
        Self { text, severity: Severity::Error, explanation }
    }

    /// A kind of warning.
    pub(crate) const fn warning(text: &'static str, explanation: &'static str) -> Self {
        Self { text, severity: Severity::Warning, explanation }
    }

    /// Every code, in order.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = topology::codes();
        all.extend(status::CODES);
        all.extend(queues::CODES);
        all.extend(plan::codes());
        all.extend(site::CODES);
        all.extend(probe::CODES);
        all.extend(check::codes());
        all.extend(import::CODES);
        all.sort_unstable();
        all
    }

    /// The code of this text, in upper or lower case.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        Self::all().into_iter().find(|code| code.text.eq_ignore_ascii_case(text))
    }

    /// The code as it is printed, such as `FED0107`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.text
    }

    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// What it means, why it matters, and what to do.
    #[must_use]
    pub const fn explanation(&self) -> &'static str {
        self.explanation
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    use super::*;

    #[test]
    fn every_code_explains_itself_in_a_few_sentences() {
        for code in Code::all() {
            let explanation = code.explanation();
            let sentences = explanation.matches(". ").count() + 1;
            assert!((2..=5).contains(&sentences) && explanation.ends_with('.'), "{code}: {explanation}");
            assert!(!explanation.contains("  ") && !explanation.contains('\n'), "{code}: {explanation}");
        }
    }

    #[test]
    fn errors_of_the_file_and_warnings_have_their_own_hundred() {
        for code in Code::all() {
            let expected = match &code.as_str()[..5] {
                "FED01" => Severity::Error,
                "FED02" | "FED04" => Severity::Warning,
                "FED03" | "FED05" | "FED06" | "FED07" | "FED08" | "FED09" => continue,
                _ => panic!("{code} is in no known hundred"),
            };
            assert_eq!(code.severity(), expected, "{code}");
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a test may read the sources")]
    fn sources(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    /// The codes that are declared anywhere in the model: a string literal each.
    #[expect(clippy::disallowed_methods, reason = "a test may read the sources")]
    fn declared() -> Vec<String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let texts = sources(&source).into_iter().map(|path| fs::read_to_string(path).unwrap());
        let without_tests = |text: String| text.split("#[cfg(test)]").next().unwrap().to_owned();
        let quoted =
            texts.map(without_tests).flat_map(|text| text.split('"').map(str::to_owned).collect::<Vec<_>>());
        let is_code = |text: &String| {
            text.strip_prefix("FED")
                .is_some_and(|number| number.len() == 4 && number.bytes().all(|digit| digit.is_ascii_digit()))
        };
        quoted.filter(is_code).collect()
    }

    #[test]
    fn every_code_that_is_declared_is_listed_once() {
        let mut declared = declared();
        declared.sort();
        let listed: Vec<String> = Code::all().iter().map(ToString::to_string).collect();
        assert_eq!(declared, listed, "a code is missing from its list, or declared twice");
        assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len());
    }

    #[test]
    fn a_code_is_found_in_lower_case_too() {
        assert_eq!(Code::find("fed0118").map(|code| code.as_str()), Some("FED0118"));
        assert_eq!(Code::find("FED0000"), None);
    }
}
