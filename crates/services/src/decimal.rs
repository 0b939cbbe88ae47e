//! Decimal numbers, which travel as text because binary floats cannot hold them.

use bigdecimal::BigDecimal;
use serde::{Serialize, Serializer};

/// A decimal number that is spelled in answers as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decimal {
    text: String,
    value: BigDecimal,
}

impl Decimal {
    /// What [`Decimal::parse_amount`] takes, for messages.
    pub const AMOUNT: &str = "a decimal, zero or more";

    /// Parses digits, with a sign and a fraction or without: no exponent, no grouping.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let is_digit = |character: char| character.is_ascii_digit();
        let is_plain = unsigned.starts_with(is_digit)
            && unsigned.ends_with(is_digit)
            && unsigned.chars().all(|character| is_digit(character) || character == '.');
        let value = text.parse().ok().filter(|_| is_plain)?;
        Some(Self { text: text.to_owned(), value })
    }

    /// Parses an amount of money: a decimal that is not below zero.
    #[must_use]
    pub fn parse_amount(text: &str) -> Option<Self> {
        Self::parse(text).filter(|_| !text.starts_with('-'))
    }

    /// Whether it is more than `other`, however the two are spelled.
    #[must_use]
    pub fn exceeds(&self, other: &Self) -> bool {
        self.value > other.value
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<Decimal> for String {
    fn from(decimal: Decimal) -> Self {
        decimal.text
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_plain_and_keeps_its_spelling() {
        for text in ["100.00", "0", "-1.5", "007.50", "-0.0", "99999999999999999999999999999.99"] {
            assert_eq!(Decimal::parse(text).unwrap().as_str(), text);
        }
        for text in ["", ".", "1.", ".5", "1e3", "12,5", "+1", "NaN", "1.2.3", "1_000", "--1", "-"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_compare_as_numbers_however_they_are_spelled() {
        let amount = |text| Decimal::parse_amount(text).unwrap();
        let exceeds = |a, b| amount(a).exceeds(&amount(b));
        for (more, less) in [
            ("10", "9"),
            ("0.5", "0.45"),
            ("100.01", "100"),
            ("0012", "2"),
            ("1", "0.99"),
            ("79228162514264337593543950336.01", "79228162514264337593543950336"),
        ] {
            assert!(exceeds(more, less) && !exceeds(less, more), "{more} {less}");
        }
        for (one, other) in [("10", "10.00"), ("0", "0.0"), ("007.50", "7.5")] {
            assert!(!exceeds(one, other) && !exceeds(other, one), "{one} {other}");
        }
        for none in ["-1", "", "1e9", "12,5"] {
            assert_eq!(Decimal::parse_amount(none), None, "{none}");
        }
    }
}
