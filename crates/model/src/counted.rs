//! Numbers of things in messages.

use std::fmt::Display;

/// `1 message`, `2 messages`. For nouns whose plural ends in `s`.
#[must_use]
pub fn counted<N: Display + Copy + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_singular_and_everything_else_plural() {
        let shown = [0_u64, 1, 2].map(|count| counted(count, "link"));
        assert_eq!(shown, ["0 links", "1 link", "2 links"]);
    }
}
