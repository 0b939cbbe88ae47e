//! Policies' patterns, with RabbitMQ's meaning of them.

use regex::bytes::{Regex, RegexBuilder};

/// The pattern of a policy: a regular expression over the bytes of a name, as RabbitMQ compiles it, so that `\w`
/// does not match `é`.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with it. Look-around and back-references, which RabbitMQ knows, are not supported.
    pub fn new(pattern: &str) -> Result<Self, String> {
        RegexBuilder::new(pattern).unicode(false).build().map(Self).map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            reason.trim_start_matches("error: ").to_owned()
        })
    }

    /// Whether it applies to an exchange or queue of this name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name.as_bytes())
    }
}
