//! What `analyze` does: words of a text, or numbers.

use std::borrow::Cow;
use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

/// What to analyze: a text or, where there is none, numbers.
#[derive(Debug, Default, Deserialize)]
pub struct Input {
    text: Option<String>,
    numbers: Option<Vec<f64>>,
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

/// Analyzes it; none when it is neither text nor numbers.
#[must_use]
pub fn analyze(input: &Input) -> Option<Analysis> {
    let text = input.text.as_deref().map(words);
    text.or_else(|| input.numbers.as_deref().map(numbers))
}

/// Words are letters and digits between anything else, in lower case.
fn words(text: &str) -> Analysis {
    let apart = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut words: Vec<_> = apart.map(lower).collect();
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

#[allow(clippy::cast_precision_loss, reason = "no body has as many numbers as a float has integers")]
fn numbers(list: &[f64]) -> Analysis {
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

    /// As it is asked and answered; null where it is refused.
    fn analyzed(input: &str) -> Value {
        json!(analyze(&serde_json::from_str(input).unwrap_or_default()))
    }

    #[test]
    fn a_text_is_counted_by_words() {
        assert_eq!(
            analyzed(r#"{"text": "To be, or not to BE: Zo\u00eb"}"#),
            json!({"characters": 24, "words": 7, "distinct_words": 5,
                "most_frequent": {"word": "be", "count": 2}})
        );
        let nothing = json!({"characters": 0, "words": 0, "distinct_words": 0, "most_frequent": null});
        assert_eq!(analyzed(r#"{"text": ""}"#), nothing);
    }

    #[test]
    fn numbers_are_summed_up() {
        assert_eq!(
            analyzed(r#"{"text": null, "numbers": [3, 1.5, -1.5]}"#),
            json!({"count": 3, "sum": 3.0, "mean": 1.0, "min": -1.5, "max": 3.0})
        );
        assert_eq!(
            analyzed(r#"{"numbers": []}"#),
            json!({"count": 0, "sum": 0.0, "mean": null, "min": null, "max": null})
        );
    }

    #[test]
    fn what_is_neither_is_refused() {
        for input in ["null", "{}", r#"{"text": 1}"#, r#"{"numbers": [1, "2"]}"#, r#""text""#] {
            assert_eq!(analyzed(input), Value::Null, "{input}");
        }
    }
}
