//! YAML as it is in the file: every key and value with its place.

use std::{fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};
use serde_yaml::{
    Error, Location, Spanned,
    options::{DuplicateKeyPolicy, NonFiniteFloatPolicy},
};

use super::{
    codes,
    findings::{Findings, quoted},
};
use crate::diagnostic::Code;

/// A value and where it is defined: for an alias, where its anchor is.
#[derive(Debug)]
pub(super) struct Tree {
    /// The value's bytes; of a block mapping its first key, of a block list or a missing value the
    /// key before it.
    pub span: Range<usize>,
    pub node: Node,
}

#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Tree>),
    Mapping(Vec<Entry>),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub value: Tree,
}

/// Reads the findings' text; if it is not YAML, or too large, adds a finding and returns nothing.
///
/// Duplicate keys are findings too, but the first of them stays in the tree for further checks.
pub(super) fn read(findings: &mut Findings) -> Option<Tree> {
    if findings.text().len() > MOST_BYTES {
        let message = format!("the file has more than {MOST_BYTES} bytes");
        findings.add(codes::TOO_LARGE, &(0..0), message, Some("no topology needs as much".into()));
        return None;
    }
    match serde_yaml::from_str_with_options::<Tree>(findings.text(), limits()) {
        Ok(mut tree) => {
            tree.drop_duplicates(findings);
            Some(tree)
        }
        Err(error) => {
            let span = error.location().map_or(0..0, |location| error_bytes(findings.text(), location));
            let (code, message, help) = described(&error);
            findings.add(code, &span, message, Some(help.into()));
            None
        }
    }
}

/// Enough for 512 regions with every setting and a comment on each.
const MOST_BYTES: usize = 1 << 20;

/// More than 512 regions need, and little enough to be read at once.
fn limits() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: 100_000,
            max_depth: 32,
            enforce_alias_anchor_ratio: false,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the parser has many more errors")]
fn described(error: &Error) -> (Code, String, &'static str) {
    let malformed = |message: &str, help| (codes::MALFORMED, message.to_owned(), help);
    match error {
        Error::AliasError { error, .. } => described(error),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            codes::TOO_LARGE,
            "the file, with its aliases expanded, is larger or deeper than any topology".into(),
            "write fewer or flatter aliases",
        ),
        Error::MultipleDocuments { .. } => malformed(
            "a second document begins here",
            "keep one topology in one file, and remove the `---` between",
        ),
        Error::NullIntoString { .. } | Error::Unexpected { .. } => {
            malformed("not a valid key", "a key is a word followed by `:`")
        }
        Error::UnknownAnchor { .. } => {
            malformed("no anchor of this name comes before its alias", "write `&name` at the first use")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            malformed("the alias is inside its own anchor", "move the anchor or write the value out")
        }
        other => {
            let message = without_place(other.to_string());
            let help = syntax_help(&message);
            (codes::MALFORMED, message, help)
        }
    }
}

fn syntax_help(message: &str) -> &'static str {
    if message.contains("tab") {
        "indent with spaces"
    } else if message.contains("escape") {
        r"double each `\` between double quotes, or use single quotes"
    } else if message.contains("mapping values") {
        "put text that contains `: ` in quotes, or correct the indentation"
    } else {
        "look at the indentation, quotes and brackets here and in the line before"
    }
}

/// serde-saphyr appends its own idea of the place, which the finding shows anyway.
fn without_place(mut message: String) -> String {
    if let Some(place) = message.find(" at line ") {
        message.truncate(place);
    }
    message
}

fn bytes(location: Location) -> Range<usize> {
    let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    let span = location.span();
    let start = number(span.byte_offset());
    start..start + number(span.byte_len())
}

/// The scanner's own errors know characters only.
fn error_bytes(text: &str, location: Location) -> Range<usize> {
    if location.span().byte_offset().is_some() {
        return bytes(location);
    }
    let byte = |character: u64| {
        let nth = usize::try_from(character).unwrap_or(usize::MAX);
        text.char_indices().nth(nth).map_or(text.len(), |(byte, _)| byte)
    };
    let span = location.span();
    byte(span.offset())..byte(span.offset().saturating_add(span.len()))
}

impl Tree {
    /// The place of a value such as `regions/1/services/0/name`, or of the nearest one around it.
    pub(super) fn span_of(&self, path: &str) -> &Range<usize> {
        &self.find(path).1.span
    }

    /// The place of the last key of a path, or of the nearest one around it.
    pub(super) fn key_span_of(&self, path: &str) -> &Range<usize> {
        self.find(path).0
    }

    fn find(&self, path: &str) -> (&Range<usize>, &Self) {
        let mut found = (&self.span, self);
        for step in path.split('/') {
            let Some(child) = found.1.child(step) else { break };
            found = child;
        }
        found
    }

    fn child(&self, step: &str) -> Option<(&Range<usize>, &Self)> {
        match &self.node {
            Node::List(items) => {
                let item = items.get(step.parse::<usize>().ok()?)?;
                Some((&item.span, item))
            }
            Node::Mapping(entries) => {
                let entry = entries.iter().find(|entry| entry.key == step)?;
                Some((&entry.key_span, &entry.value))
            }
            Node::Null | Node::Bool(_) | Node::Integer(_) | Node::Float(_) | Node::Text(_) => None,
        }
    }

    /// The same value without places.
    pub(super) fn to_json(&self) -> Value {
        match &self.node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(*value),
            Node::Integer(value) => Number::from_i128(*value).map_or(Value::Null, Value::Number),
            Node::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            Node::Text(value) => Value::String(value.clone()),
            Node::List(items) => items.iter().map(Self::to_json).collect(),
            Node::Mapping(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
            }
        }
    }

    fn drop_duplicates(&mut self, findings: &mut Findings) {
        match &mut self.node {
            Node::List(items) => items.iter_mut().for_each(|item| item.drop_duplicates(findings)),
            Node::Mapping(entries) => {
                let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
                for mut entry in entries.drain(..) {
                    if let Some(first) = kept.iter().find(|earlier| earlier.key == entry.key) {
                        let line = findings.line(first.key_span.start);
                        findings.add(
                            codes::DUPLICATE_KEY,
                            &entry.key_span,
                            format!("{} is given twice", quoted(&entry.key)),
                            Some(format!("it is also on line {line}; remove one of them")),
                        );
                    } else {
                        entry.value.drop_duplicates(findings);
                        kept.push(entry);
                    }
                }
                *entries = kept;
            }
            Node::Null | Node::Bool(_) | Node::Integer(_) | Node::Float(_) | Node::Text(_) => {}
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: node, defined, .. } = Spanned::<Node>::deserialize(deserializer)?;
        let mut span = bytes(defined);
        if let Node::Mapping(entries) = &node
            && let Some(first) = entries.first()
            && first.key_span.start == span.start
        {
            span = first.key_span.clone();
        }
        Ok(Self { span, node })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut mapping = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let key_span = bytes(key.defined);
            let mut value: Tree = entries.next_value()?;
            if value.span.is_empty() {
                value.span = key_span.clone();
            }
            mapping.push(Entry { key: key.value, key_span, value });
        }
        Ok(Node::Mapping(mapping))
    }
}
