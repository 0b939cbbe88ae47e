//! What brokers hold by name, in the one form in which desired and observed are compared.

use std::{collections::BTreeSet, fmt};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    secret::Secret,
    site::{NOWHERE, Settled, without_users},
};

/// What RabbitMQ takes for keys of an upstream that are left out (`rabbit_federation_upstream:from_upstream_or_set`).
const LEFT_OUT: [(&str, Usual); 7] = [
    ("ack-mode", Usual::Word("on-confirm")),
    ("bind-nowait", Usual::Off),
    ("max-hops", Usual::Number(1)),
    ("prefetch-count", Usual::Number(1000)),
    ("reconnect-delay", Usual::Number(5)),
    ("resource-cleanup-mode", Usual::Word("default")),
    ("trust-user-id", Usual::Off),
];

/// The value of a key that is left out.
#[derive(Clone, Copy)]
enum Usual {
    Word(&'static str),
    Number(u32),
    Off,
}

impl Usual {
    fn value(self) -> Value {
        match self {
            Usual::Word(word) => word.into(),
            Usual::Number(number) => number.into(),
            Usual::Off => false.into(),
        }
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// The names that it matches.
    pub pattern: String,
    /// What it applies to, as RabbitMQ spells it.
    pub apply_to: String,
    #[serde(default)]
    pub priority: i32,
    pub definition: Map<String, Value>,
}

/// An upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// Where and as whom to connect, with the password.
    pub uri: Secret,
    /// Every other key.
    pub settings: Map<String, Value>,
}

/// The regular expressions that say what a user may configure, write and read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Permissions {
    /// Declare and delete.
    pub configure: String,
    /// Publish, and bind to.
    pub write: String,
    /// Consume, and bind from.
    pub read: String,
}

impl Policy {
    /// The policy as RabbitMQ takes it, without its name and virtual host.
    #[must_use]
    pub fn value(&self) -> Map<String, Value> {
        object([
            ("pattern", json!(self.pattern)),
            ("apply-to", json!(self.apply_to)),
            ("priority", json!(self.priority)),
            ("definition", json!(self.definition)),
        ])
    }
}

impl Upstream {
    /// The definition as RabbitMQ takes it, with the URI and the password in it.
    #[must_use]
    pub fn value(&self) -> Map<String, Value> {
        self.with_uri(self.uri.expose().to_owned())
    }

    /// The definition with a URI that may be shown.
    #[must_use]
    pub fn shown(&self) -> Map<String, Value> {
        self.with_uri(without_users(self.uri.expose()))
    }

    fn with_uri(&self, uri: String) -> Map<String, Value> {
        let mut value = self.settings.clone();
        value.insert("uri".into(), uri.into());
        value
    }

    /// What differs in a definition that a broker has in this virtual host, where it means something else to a link: one
    /// that only leaves out a default is as good, and to put another would restart every link.
    #[must_use]
    pub fn differences(&self, found: &Self, vhost: &str) -> Vec<Difference> {
        let target = |upstream: &Self| Settled::of(&upstream.uri, vhost).map(|settled| settled.target);
        let mut held = found.completed();
        if target(self).is_some_and(|wanted| target(found) == Some(wanted)) {
            held.uri = self.uri.clone();
        }
        differences(&self.completed().shown(), &held.shown())
    }

    /// Whether it connects as another user, or with another password. Neither is shown.
    #[must_use]
    pub fn connects_otherwise(&self, found: &Self, vhost: &str) -> bool {
        let settled = |upstream: &Self| Settled::of(&upstream.uri, vhost).map(|settled| settled.credentials);
        match (settled(self), settled(found)) {
            (Some(wanted), Some(found)) => wanted != found,
            (_, None) | (None, _) => self.uri != found.uri,
        }
    }

    /// The same with every key that RabbitMQ has a default for.
    pub(crate) fn completed(&self) -> Self {
        let mut completed = self.clone();
        for (key, usual) in LEFT_OUT {
            completed.settings.entry(key).or_insert_with(|| usual.value());
        }
        completed
    }

    /// Whether its links delete their queues, with the messages in them, when they end or restart.
    #[must_use]
    pub fn deletes_backlog(&self) -> bool {
        self.settings.get("resource-cleanup-mode").is_none_or(|mode| mode != "never")
    }

    /// The same upstream with a URI at which nothing listens: its links end, and the broker goes on remembering which of the
    /// internal exchanges of each is in use.
    #[must_use]
    pub fn paused(&self) -> Self {
        let mut settings = self.settings.clone();
        // it has nothing to try
        settings.insert("reconnect-delay".into(), 3600.into());
        Self { uri: Secret::new(NOWHERE), settings }
    }

    /// Whether it leads nowhere.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.uri.expose() == NOWHERE
    }

    /// The same upstream with a key more, or less, that changes nothing: a broker takes it for another definition and
    /// restarts its links. Perturbed again it is as before.
    #[must_use]
    pub fn perturbed(&self) -> Self {
        let mut other = self.clone();
        // its default, and no key of a topology
        if other.settings.remove("channel-use-mode").is_none() {
            other.settings.insert("channel-use-mode".into(), "multiple".into());
        }
        other
    }
}

impl Permissions {
    /// The permissions as RabbitMQ takes them, without the user and the virtual host.
    #[must_use]
    pub fn value(&self) -> Map<String, Value> {
        let Self { configure, write, read } = self;
        object([("configure", json!(configure)), ("write", json!(write)), ("read", json!(read))])
    }
}

/// A JSON object of these keys.
pub(crate) fn object<const N: usize>(entries: [(&str, Value); N]) -> Map<String, Value> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The first key in which two definitions differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub key: String,
    pub found: Option<Value>,
    pub wanted: Option<Value>,
}

/// Compares two definitions, and those within them, key by key.
///
/// Numbers are compared by value: a broker may answer `5.0` where `5` was put. A key that is given is not the same as one
/// that is left out, even with its default: to RabbitMQ that is another definition.
#[must_use]
pub fn difference(wanted: &Map<String, Value>, found: &Map<String, Value>) -> Option<Difference> {
    differences(wanted, found).into_iter().next()
}

/// The same with every key in which they differ.
#[must_use]
pub fn differences(wanted: &Map<String, Value>, found: &Map<String, Value>) -> Vec<Difference> {
    let keys: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let mut differing = Vec::new();
    for key in keys {
        let (wanted, found) = (wanted.get(key), found.get(key));
        let differs = match (wanted, found) {
            (Some(Value::Object(wanted)), Some(Value::Object(found))) => {
                differing.extend(differences(wanted, found));
                false
            }
            (Some(Value::Number(wanted)), Some(Value::Number(found))) => wanted.as_f64() != found.as_f64(),
            (wanted, found) => wanted != found,
        };
        if differs {
            differing.push(Difference { key: key.clone(), found: found.cloned(), wanted: wanted.cloned() });
        }
    }
    differing
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<Value>| match value {
            None => "none".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        write!(f, "{} {} → {}", self.key, show(&self.found), show(&self.wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wanted: Value, found: Value, expected: Option<&str>) {
        let (Value::Object(wanted), Value::Object(found)) = (wanted, found) else { panic!("no objects") };
        let text = difference(&wanted, &found).map(|difference| difference.to_string());
        assert_eq!(text.as_deref(), expected);
    }

    #[test]
    fn numbers_are_compared_by_value_and_everything_else_as_it_is() {
        check(json!({"max-hops": 1}), json!({"max-hops": 1.0}), None);
        check(json!({"max-hops": 1}), json!({"max-hops": 2.0}), Some("max-hops 2.0 → 1"));
        check(json!({"max-hops": 1}), json!({"max-hops": "1"}), Some("max-hops 1 → 1"));
        check(
            json!({"uris": ["a", "b"]}),
            json!({"uris": ["b", "a"]}),
            Some(r#"uris ["b","a"] → ["a","b"]"#),
        );
    }

    #[test]
    fn a_default_that_is_given_is_not_one_that_is_left_out() {
        check(json!({"trust-user-id": false}), json!({}), Some("trust-user-id none → false"));
        check(json!({}), json!({"trust-user-id": false}), Some("trust-user-id false → none"));
    }

    #[test]
    fn a_definition_within_another_is_compared_key_by_key() {
        let policy = |hops: f64| json!({"definition": {"max-hops": hops, "b": 1}, "pattern": "^x"});
        check(policy(1.0), policy(1.0), None);
        check(policy(1.0), policy(2.0), Some("max-hops 2.0 → 1.0"));
        check(json!({"definition": {}}), json!({"definition": 1}), Some("definition 1 → {}"));
    }
}
