//! What `analyze` does: words of a text, or numbers.

use std::borrow::Cow;
use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

/// A text to analyze.
#[derive(Debug, Deserialize)]
pub struct Text {
    text: String,
}

/// Numbers to analyze.
#[derive(Debug, Deserialize)]
pub struct Numbers {
    numbers: Vec<f64>,
}

/// What there is to say about it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Analysis {
    /// About a text.
    Words {
        /// How long it is.
        characters: usize,
        /// How many words it has.
        words: usize,
        /// How many of them differ.
        distinct_words: usize,
        /// The most frequent one; of several the first in the alphabet.
        most_frequent: Option<Frequent>,
    },
    /// About numbers; mean, least and greatest of none are null.
    Numbers {
        /// How many they are.
        count: usize,
        /// Their sum.
        sum: f64,
        /// Their mean.
        mean: Option<f64>,
        /// The least.
        min: Option<f64>,
        /// The greatest.
        max: Option<f64>,
    },
}

/// A word, and how often it is there.
#[derive(Debug, PartialEq, Serialize)]
pub struct Frequent {
    word: String,
    count: usize,
}

/// What there is to say about a text. Words are letters and digits between anything else, in lower case.
#[must_use]
pub fn words(Text { text }: &Text) -> Analysis {
    let separate = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut words: Vec<_> = separate.map(lower).collect();
    words.sort_unstable();
    let same = || words.chunk_by(|one, next| one == next);
    let most = same().min_by_key(|same| Reverse(same.len()));
    Analysis::Words {
        characters: text.chars().count(),
        words: words.len(),
        distinct_words: same().count(),
        most_frequent: most.map(|same| Frequent { word: same[0].to_string(), count: same.len() }),
    }
}

fn lower(word: &str) -> Cow<'_, str> {
    let plain = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if plain { word.into() } else { word.to_lowercase().into() }
}

/// What there is to say about numbers.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "no body has as many numbers as a float has integers")]
pub fn numbers(Numbers { numbers: list }: &Numbers) -> Analysis {
    // Nothing sums up to -0.0.
    let sum = list.iter().sum::<f64>() + 0.0;
    Analysis::Numbers {
        count: list.len(),
        sum,
        mean: (!list.is_empty()).then(|| sum / list.len() as f64),
        min: list.iter().copied().reduce(f64::min),
        max: list.iter().copied().reduce(f64::max),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn words_of(text: &str) -> Value {
        json!(words(&Text { text: text.into() }))
    }

    fn numbers_of(numbers: &[f64]) -> Value {
        json!(super::numbers(&Numbers { numbers: numbers.into() }))
    }

    #[test]
    fn a_text_is_counted_by_words() {
        assert_eq!(
            words_of("To be, or not to BE: Zo\u{eb}"),
            json!({"characters": 24, "words": 7, "distinct_words": 5,
                "most_frequent": {"word": "be", "count": 2}})
        );
        let nothing = json!({"characters": 0, "words": 0, "distinct_words": 0, "most_frequent": null});
        assert_eq!(words_of(""), nothing);
    }

    #[test]
    fn numbers_are_summed_up() {
        assert_eq!(
            numbers_of(&[3.0, 1.5, -1.5]),
            json!({"count": 3, "sum": 3.0, "mean": 1.0, "min": -1.5, "max": 3.0})
        );
        assert_eq!(numbers_of(&[]), json!({"count": 0, "sum": 0.0, "mean": null, "min": null, "max": null}));
    }
}
