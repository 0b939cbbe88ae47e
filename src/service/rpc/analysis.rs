//! What `analyze` does: words of a text, or numbers.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Analyzes `{"text": …}` or `{"numbers": […]}`.
///
/// # Errors
/// When it is neither, in a sentence for the caller.
pub fn analyze(data: &Value) -> Result<Value, String> {
    if let Some(text) = data["text"].as_str() {
        return Ok(words(text));
    }
    let all = |numbers: &Vec<Value>| numbers.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
    match data["numbers"].as_array().and_then(all) {
        Some(list) => Ok(numbers(&list)),
        None => Err("`analyze` needs `text` (a string) or `numbers` (a list of numbers)".to_owned()),
    }
}

/// Words are letters and digits between anything else, in lower case; of equally frequent ones the first in the
/// alphabet is told.
fn words(text: &str) -> Value {
    let mut counts = BTreeMap::<String, usize>::new();
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    let most = counts.iter().min_by_key(|(_, count)| Reverse(**count));
    json!({
        "characters": text.chars().count(),
        "words": counts.values().sum::<usize>(),
        "distinct_words": counts.len(),
        "most_frequent": most.map(|(word, count)| json!({"word": word, "count": count})),
    })
}

/// Mean, least and greatest of none are null.
#[allow(clippy::cast_precision_loss, reason = "no body has as many numbers as a float has integers")]
fn numbers(list: &[f64]) -> Value {
    // Nothing sums up to -0.0.
    let sum = list.iter().sum::<f64>() + 0.0;
    json!({
        "count": list.len(),
        "sum": sum,
        "mean": (!list.is_empty()).then(|| sum / list.len() as f64),
        "min": list.iter().copied().reduce(f64::min),
        "max": list.iter().copied().reduce(f64::max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_counted_by_words() {
        assert_eq!(
            analyze(&json!({"text": "To be, or not to BE: Zoë"})),
            Ok(json!({"characters": 24, "words": 7, "distinct_words": 5,
                "most_frequent": {"word": "be", "count": 2}}))
        );
        let nothing = json!({"characters": 0, "words": 0, "distinct_words": 0, "most_frequent": null});
        assert_eq!(analyze(&json!({"text": ""})), Ok(nothing));
    }

    #[test]
    fn numbers_are_summed_up() {
        assert_eq!(
            analyze(&json!({"numbers": [3, 1.5, -1.5]})),
            Ok(json!({"count": 3, "sum": 3.0, "mean": 1.0, "min": -1.5, "max": 3.0}))
        );
        assert_eq!(
            analyze(&json!({"numbers": []})),
            Ok(json!({"count": 0, "sum": 0.0, "mean": null, "min": null, "max": null}))
        );
    }

    #[test]
    fn what_is_neither_is_refused() {
        for data in [Value::Null, json!({}), json!({"text": 1}), json!({"numbers": [1, "2"]}), json!("text")]
        {
            assert!(analyze(&data).is_err(), "{data}");
        }
    }
}
