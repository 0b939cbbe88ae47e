//! Amounts of money.

use serde::Serialize;

use crate::contract::is_decimal;

/// A decimal, zero or more, kept as the text it came as: binary floats cannot hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Amount(String);

impl Default for Amount {
    fn default() -> Self {
        Self("0".to_owned())
    }
}

impl Amount {
    /// What [`Amount::read`] takes, in words.
    pub const WANTED: &str = "a decimal, zero or more";

    /// Reads an amount, if `text` is one.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        (is_decimal(text) && !text.starts_with('-')).then(|| Self(text.to_owned()))
    }

    /// Whether it is more than `other`.
    #[must_use]
    pub fn exceeds(&self, other: &Self) -> bool {
        self.order() > other.order()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares like the number: of two whole parts the longer is the larger, of two fractions the later in the
    /// alphabet.
    fn order(&self) -> (usize, &str, &str) {
        let (whole, fraction) = self.0.split_once('.').unwrap_or((&self.0, ""));
        let whole = whole.trim_start_matches('0');
        (whole.len(), whole, fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_compare_as_numbers_however_they_are_spelled() {
        let exceeds = |a: &str, b: &str| Amount::read(a).unwrap().exceeds(&Amount::read(b).unwrap());
        for (more, less) in [("10", "9"), ("0.5", "0.45"), ("100.01", "100"), ("0012", "2"), ("1", "0.99")] {
            assert!(exceeds(more, less) && !exceeds(less, more), "{more} {less}");
        }
        for (one, other) in [("10", "10.00"), ("0", "0.0"), ("007.50", "7.5")] {
            assert!(!exceeds(one, other) && !exceeds(other, one), "{one} {other}");
        }
        for none in ["-1", "", "1e9", "12,5"] {
            assert_eq!(Amount::read(none), None, "{none}");
        }
    }
}
