//! The shape of the file: every value against the JSON schema of the model's own types.

use regex::Regex;
use serde_json::Value;

use super::{
    codes,
    findings::{Findings, listed, quoted, suggestion},
    tree::{Entry, Node, Tree},
};

/// Adds a finding for everything in `tree` that `schema` does not allow.
///
/// It knows the keywords that schemars emits for the model and no others; a test holds the two
/// together.
pub(super) fn check(tree: &Tree, schema: &Value, findings: &mut Findings) {
    Checker { schema, findings }.value(tree, schema, "the file");
}

struct Checker<'s, 'f, 't> {
    schema: &'s Value,
    findings: &'f mut Findings<'t>,
}

impl<'s> Checker<'s, '_, '_> {
    /// Checks one value; `subject` is what a message calls it.
    fn value(&mut self, tree: &Tree, schema: &'s Value, subject: &str) {
        let schema = self.resolved(schema);
        if let Some(words) = words(schema) {
            return self.word(tree, &words, subject);
        }
        if let Some(alternatives) = schema["anyOf"].as_array() {
            // An optional value: itself or nothing.
            let some = alternatives.iter().find(|alternative| alternative["type"] != "null");
            return match some {
                Some(some) if !matches!(tree.node, Node::Null) => self.value(tree, some, subject),
                _ => (),
            };
        }
        let types = types(schema);
        if !types.is_empty() && !types.iter().any(|name| is_a(&tree.node, name)) {
            return self.wrong_type(tree, &types, schema, subject);
        }
        match &tree.node {
            Node::Mapping(entries) => self.mapping(tree, entries, schema, subject),
            Node::List(items) => self.list(tree, items, schema, subject),
            Node::Text(text) => self.text(tree, text, schema, subject),
            Node::Integer(_) | Node::Float(_) => self.number(tree, schema, subject),
            Node::Null | Node::Bool(_) => (),
        }
    }

    fn resolved(&self, schema: &'s Value) -> &'s Value {
        schema["$ref"]
            .as_str()
            .and_then(|reference| self.schema.pointer(reference.trim_start_matches('#')))
            .unwrap_or(schema)
    }

    fn mapping(&mut self, tree: &Tree, entries: &[Entry], schema: &'s Value, subject: &str) {
        for entry in entries {
            match property(schema, &entry.key) {
                Some(schema) => self.value(&entry.value, schema, &quoted(&entry.key)),
                None => self.findings.add(
                    codes::UNKNOWN_KEY,
                    &entry.key_span,
                    format!("{subject} has no key {}", quoted(&entry.key)),
                    Some(suggestion(&entry.key, keys(schema), "its keys are")),
                ),
            }
        }
        for key in strings(&schema["required"]) {
            if !entries.iter().any(|entry| entry.key == key) {
                self.findings.add(
                    codes::MISSING_KEY,
                    &tree.span,
                    format!("{subject} lacks {}", quoted(key)),
                    description(&schema["properties"][key]),
                );
            }
        }
    }

    fn list(&mut self, tree: &Tree, items: &[Tree], schema: &'s Value, subject: &str) {
        self.length(tree, items.len(), [&schema["minItems"], &schema["maxItems"]], "entries", subject);
        for item in items {
            self.value(item, &schema["items"], &format!("an entry of {subject}"));
        }
    }

    fn text(&mut self, tree: &Tree, text: &str, schema: &Value, subject: &str) {
        let limits = [&schema["minLength"], &schema["maxLength"]];
        self.length(tree, text.chars().count(), limits, "characters", subject);
        let matches = |pattern| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
        if schema["pattern"].as_str().is_some_and(|pattern| !text.is_empty() && !matches(pattern)) {
            self.findings.add(
                codes::INVALID_NAME,
                &tree.span,
                format!("{} is not a valid host name", quoted(text)),
                Some(name_help(text)),
            );
        }
    }

    fn length(&mut self, tree: &Tree, length: usize, limits: [&Value; 2], unit: &str, subject: &str) {
        let [least, most] = limits.map(|limit| limit.as_u64().and_then(|limit| usize::try_from(limit).ok()));
        let (message, help) = if least.is_some_and(|least| length < least) {
            (format!("{subject} is empty"), "give at least one".to_owned())
        } else if let Some(most) = most.filter(|most| length > *most) {
            (format!("{subject} has {length} {unit}"), format!("{most} are allowed"))
        } else {
            return;
        };
        self.findings.add(codes::WRONG_LENGTH, &tree.span, message, Some(help));
    }

    fn number(&mut self, tree: &Tree, schema: &Value, subject: &str) {
        let (least, most) = (&schema["minimum"], &schema["maximum"]);
        let value = match tree.node {
            #[expect(clippy::cast_precision_loss, reason = "every limit is far below 2^53")]
            Node::Integer(value) => value as f64,
            Node::Float(value) => value,
            Node::Null | Node::Bool(_) | Node::Text(_) | Node::List(_) | Node::Mapping(_) => return,
        };
        if least.as_f64().is_some_and(|least| value < least) || most.as_f64().is_some_and(|most| value > most)
        {
            let message = format!("{subject} must be between {least} and {most}, not {}", self.source(tree));
            self.findings.add(codes::OUT_OF_RANGE, &tree.span, message, description(schema));
        }
    }

    fn word(&mut self, tree: &Tree, words: &[&str], subject: &str) {
        let (message, help) = if let Node::Text(text) = &tree.node {
            if words.contains(&text.as_str()) {
                return;
            }
            let help = suggestion(text, words.iter().copied(), "choose one of");
            (format!("{subject} cannot be {}", quoted(text)), help)
        } else {
            let help = format!("choose one of {}", listed(words.iter().copied()));
            (format!("{subject} must be a word, not {}", kind(&tree.node)), help)
        };
        self.findings.add(codes::UNKNOWN_VALUE, &tree.span, message, Some(help));
    }

    fn wrong_type(&mut self, tree: &Tree, types: &[&str], schema: &Value, subject: &str) {
        let words = types.iter().filter(|name| **name != "null").map(|name| type_words(name));
        let words = words.collect::<Vec<_>>().join(" or ");
        let message = format!("{subject} must be {words}, not {}", kind(&tree.node));
        let source = self.source(tree);
        let help = match (types[0], &tree.node) {
            (_, Node::Null) => Some("give it a value, or leave the key out".into()),
            ("string", Node::Bool(_) | Node::Integer(_) | Node::Float(_)) => {
                Some(format!("put it in quotes: `\"{source}\"`"))
            }
            ("integer", Node::Text(text)) if text.parse::<i64>().is_ok() => {
                Some(format!("write it without quotes: `{text}`"))
            }
            ("array", _) => Some("begin each entry with `- `".into()),
            ("object", Node::Text(_) | Node::Integer(_)) if !source.contains(':') => {
                strings(&schema["required"])
                    .next()
                    .map(|key| format!("write it as {}", quoted(&format!("{key}: {source}"))))
            }
            _ => None,
        };
        self.findings.add(codes::WRONG_TYPE, &tree.span, message, help.or_else(|| description(schema)));
    }

    fn source(&self, tree: &Tree) -> &str {
        self.findings.text().get(tree.span.clone()).unwrap_or_default()
    }
}

/// The schema of a mapping's key, or of all its values where the keys are free.
fn property<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    schema["properties"]
        .get(key)
        .or_else(|| Some(&schema["additionalProperties"]).filter(|free| free.is_object()))
}

fn keys(schema: &Value) -> impl Iterator<Item = &str> {
    schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys()).map(String::as_str)
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The words of an enum, which is a list of constants where its variants are documented.
fn words(schema: &Value) -> Option<Vec<&str>> {
    match (&schema["enum"], schema["oneOf"].as_array()) {
        (_, Some(variants)) => variants.iter().map(|variant| variant["const"].as_str()).collect(),
        (Value::Array(words), None) => words.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// The types that a schema allows: one, or one and `null`.
fn types(schema: &Value) -> Vec<&str> {
    schema["type"].as_str().into_iter().chain(strings(&schema["type"])).collect()
}

fn is_a(node: &Node, name: &str) -> bool {
    // From here on a float has no digits behind the point left to judge it by.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    match node {
        Node::Null => name == "null",
        Node::Bool(_) => name == "boolean",
        Node::Integer(_) => name == "integer",
        Node::Float(value) => name == "integer" && value.is_finite() && value.abs() >= WHOLE,
        Node::Text(_) => name == "string",
        Node::List(_) => name == "array",
        Node::Mapping(_) => name == "object",
    }
}

fn type_words(name: &str) -> &str {
    match name {
        "object" => "a mapping",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "boolean" => "`true` or `false`",
        other => other,
    }
}

fn kind(node: &Node) -> &'static str {
    match node {
        Node::Null => "empty",
        Node::Bool(_) => "true or false",
        Node::Integer(_) => "a number",
        Node::Float(_) => "a decimal number",
        Node::Text(_) => "text",
        Node::List(_) => "a list",
        Node::Mapping(_) => "a mapping",
    }
}

fn name_help(name: &str) -> String {
    let rule = "use lower-case letters, digits and `-`, starting with a letter";
    let lower = name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let valid = lower.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches('-');
    if valid.is_empty() { rule.into() } else { format!("{rule}, such as {}", quoted(valid)) }
}

/// The model's own words for a setting, as a hint.
fn description(schema: &Value) -> Option<String> {
    let line = schema["description"].as_str()?.lines().next()?.trim_end_matches('.');
    let mut characters = line.chars();
    let first = characters.next()?;
    let is_word = characters.clone().next().is_none_or(|second| !second.is_uppercase());
    Some(if is_word { first.to_lowercase().chain(characters).collect() } else { line.into() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        diagnostic::Code,
        topology::{NAME, shape, tree},
    };

    /// Annotations, and the keywords that `Checker` judges by.
    const KNOWN: &str = "$defs $ref $schema additionalProperties anyOf const default description enum format items \
                         maxItems maxLength maximum minItems minLength minimum oneOf pattern properties required \
                         title type";

    fn keywords<'s>(schema: &'s Value, found: &mut Vec<(&'s str, &'s Value)>) {
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            found.push((keyword, value));
            match keyword.as_str() {
                "$defs" | "properties" => {
                    value.as_object().into_iter().flatten().for_each(|(_, schema)| keywords(schema, found));
                }
                "oneOf" | "anyOf" => {
                    value.as_array().into_iter().flatten().for_each(|schema| keywords(schema, found));
                }
                "items" | "additionalProperties" => keywords(value, found),
                _ => (),
            }
        }
    }

    #[test]
    fn every_keyword_of_the_schema_is_judged() {
        let schema = shape();
        let mut found = Vec::new();
        keywords(&schema, &mut found);
        let count = |keyword| found.iter().filter(|(found, _)| *found == keyword).count();
        assert_eq!(count("minimum"), count("maximum"), "\"must be between\" needs both");
        for (keyword, value) in found {
            assert!(KNOWN.split(' ').any(|known| known == keyword), "{keyword}");
            assert!(keyword != "pattern" || value == NAME, "`{value}` is not a rule for host names");
            assert!(
                !["minLength", "minItems"].contains(&keyword) || value == 1,
                "\"is empty\" means fewer than 1"
            );
            assert!(
                keyword != "oneOf" || words(&json!({ "oneOf": value })).is_some(),
                "{value} is not an enum"
            );
        }
    }

    fn codes(yaml: &str, schema: &Value) -> Vec<Code> {
        let mut findings = Findings::new(yaml);
        let tree = tree::read(&mut findings).unwrap();
        check(&tree, schema, &mut findings);
        findings.finish().iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn an_optional_reference_is_itself_or_nothing() {
        let (word, null) = (json!({ "$ref": "#/$defs/Word" }), json!({ "type": "null" }));
        for alternatives in [[&word, &null], [&null, &word]] {
            let words = json!({ "type": "string", "enum": ["yes-please", "no-thanks"] });
            let schema = json!({ "anyOf": alternatives, "$defs": { "Word": words } });
            assert_eq!(codes("", &schema), []);
            assert_eq!(codes("no-thanks", &schema), []);
            assert_eq!(codes("no-thank", &schema), [codes::UNKNOWN_VALUE]);
        }
    }
}
