//! What the management API answers, as far as fedctl reads it.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use fedctl_model::{
    definition::{self, Permissions, Upstream},
    federation::is_internal,
    observed::{self, Resource},
    secret::Secret,
    site::{NOWHERE, without_users},
};

#[derive(Debug, Deserialize)]
pub(super) struct Name {
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub name: String,
    #[serde(default)]
    pub password_hash: String,
}

/// Who asks.
#[derive(Debug, Deserialize)]
pub(super) struct Identity {
    pub tags: BTreeSet<String>,
}

impl Identity {
    pub fn administers(&self) -> bool {
        self.tags.contains("administrator")
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Permission {
    pub user: String,
    #[serde(flatten)]
    pub permissions: Permissions,
}

#[derive(Debug, Deserialize)]
pub(super) struct Parameter {
    name: String,
    value: Map<String, Value>,
}

impl Parameter {
    /// A list of URIs becomes text too: it differs from the one that fedctl puts, which is all a plan needs.
    pub fn into_upstream(mut self) -> (String, Upstream) {
        let uri = match self.value.remove("uri") {
            Some(Value::String(uri)) => uri,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        (self.name, Upstream { uri: Secret::new(uri), settings: self.value })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    pub name: String,
    #[serde(flatten)]
    pub policy: definition::Policy,
}

#[derive(Debug, Deserialize)]
pub(super) struct Queue {
    name: String,
    #[serde(default)]
    messages: u64,
    #[serde(default)]
    messages_unacknowledged: u64,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    arguments: Value,
}

impl Queue {
    /// Its name and arguments, if it is the internal one of a link.
    pub fn internal(&self) -> Option<(String, Map<String, Value>)> {
        let arguments = self.arguments.as_object().cloned().unwrap_or_default();
        is_internal(&self.name).then(|| (self.name.clone(), arguments))
    }
}

impl From<Queue> for observed::Queue {
    fn from(queue: Queue) -> Self {
        let Queue { name, messages, messages_unacknowledged: unacknowledged, r#type, .. } = queue;
        Self { name, messages, unacknowledged, is_stream: r#type == "stream" }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Consumer {
    queue: Name,
    #[serde(default)]
    channel_details: Value,
}

impl From<Consumer> for observed::Consumer {
    /// A broker that has lost sight of the consumer's channel gives an empty list in place of its details.
    fn from(Consumer { queue, channel_details }: Consumer) -> Self {
        let text = |key| channel_details.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { queue: queue.name, user: text("user"), host: text("peer_host") }
    }
}

/// What the health check of alarms answers: nothing but `ok`, or the alarms.
#[derive(Debug, Deserialize)]
pub(super) struct Alarms {
    status: Option<String>,
    #[serde(default)]
    alarms: Vec<Alarm>,
}

#[derive(Debug, Deserialize)]
struct Alarm {
    resource: String,
}

impl Alarms {
    /// The resources that are short; none if the answer is neither.
    pub fn into_names(self) -> Option<Vec<String>> {
        let mut names: Vec<String> = self.alarms.into_iter().map(|alarm| alarm.resource).collect();
        names.sort_unstable();
        names.dedup();
        (!names.is_empty() || self.status.as_deref() == Some("ok")).then_some(names)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct QueueDepth {
    name: String,
    #[serde(default)]
    messages_ready: u64,
    #[serde(default)]
    messages_unacknowledged: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct QueueCounts {
    name: String,
    consumers: Option<u64>,
    messages_details: Option<Rate>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Rate {
    rate: Option<f64>,
}

/// What is true now, with what the broker counted last: of a new queue nothing, and nothing at all if it collects no
/// metrics.
pub(super) fn queue_details(counted: Vec<QueueCounts>, now: Vec<QueueDepth>) -> Vec<observed::QueueDetails> {
    let counted: HashMap<String, QueueCounts> =
        counted.into_iter().map(|queue| (queue.name.clone(), queue)).collect();
    let details = |queue: QueueDepth| {
        let counts = counted.get(&queue.name);
        observed::QueueDetails {
            ready: queue.messages_ready,
            unacknowledged: queue.messages_unacknowledged,
            consumers: counts.and_then(|counts| counts.consumers),
            growth: counts.and_then(|counts| counts.messages_details?.rate),
            name: queue.name,
        }
    };
    now.into_iter().map(details).collect()
}

#[derive(Debug, Deserialize)]
pub(super) struct Binding {
    source: String,
    pub destination: String,
    pub routing_key: String,
}

impl From<Binding> for observed::Binding {
    fn from(Binding { source, destination, routing_key }: Binding) -> Self {
        Self { source, destination, routing_key }
    }
}

/// One of all parameters, without its value.
#[derive(Debug, Deserialize)]
pub(super) struct AnyParameter {
    pub vhost: String,
    pub component: String,
    pub name: String,
}

/// One of all global parameters, whatever is in it.
#[derive(Debug, Deserialize)]
pub(super) struct GlobalParameter {
    pub name: String,
    pub value: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FeatureFlag {
    pub name: String,
    state: String,
    stability: String,
}

impl FeatureFlag {
    /// Whether it is stable and not enabled, or not everywhere yet.
    pub fn is_due(&self) -> bool {
        self.stability == "stable" && matches!(self.state.as_str(), "disabled" | "state_changing")
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Overview {
    pub rabbitmq_version: String,
    #[serde(default)]
    pub exchange_types: Vec<Name>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Node {
    pub uptime: Option<u64>,
    pub mem_used: Option<u64>,
}

impl Node {
    /// The first of the nodes. In the first seconds after its start a node reports nothing, and the
    /// answer is an empty list in place of the object.
    pub fn of(nodes: Vec<Value>) -> Self {
        let node = nodes.into_iter().next().filter(Value::is_object);
        node.and_then(|node| serde_json::from_value(node).ok()).unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Link {
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub node: String,
    exchange: Option<String>,
    queue: Option<String>,
    upstream: Option<String>,
    status: String,
    error: Option<Value>,
    timestamp: Option<String>,
    uri: Option<String>,
}

impl Link {
    /// Whether it is the link from this upstream that carries `resource`.
    pub fn is(&self, upstream: &str, resource: &Resource) -> bool {
        let carried = match resource {
            Resource::Exchange(_) => &self.exchange,
            Resource::Queue(_) => &self.queue,
        };
        self.upstream.as_deref() == Some(upstream) && carried.as_deref() == Some(resource.name())
    }

    /// The broker reports the time of a status in its own time zone, without naming it; in our containers it is UTC.
    /// Before 10:00 the hour has one digit.
    pub fn into_link(self, now: Option<jiff::Timestamp>) -> Option<observed::Link> {
        let resource = match (self.exchange, self.queue) {
            (Some(exchange), _) => Resource::Exchange(exchange),
            (None, Some(queue)) => Resource::Queue(queue),
            (None, None) => return None,
        };
        let since = self.timestamp.and_then(|text| {
            let since = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
            since.to_zoned(jiff::tz::TimeZone::UTC).ok()
        });
        let age = now
            .zip(since)
            .and_then(|(now, since)| u64::try_from(now.as_second() - since.timestamp().as_second()).ok());
        let error = self.error.map(|error| error.as_str().map_or_else(|| error.to_string(), str::to_owned));
        Some(observed::Link {
            resource,
            upstream: self.upstream.unwrap_or_default(),
            status: self.status,
            error,
            age,
            is_paused: self.uri.as_deref() == Some(NOWHERE),
        })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Published {
    pub routed: bool,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    error: Option<String>,
    reason: Option<Value>,
}

impl Refusal {
    /// The broker's own words, which may quote a URI.
    pub fn text(self) -> Option<String> {
        let text = match self.reason {
            Some(Value::String(reason)) => Some(reason),
            Some(other) => Some(other.to_string()),
            None => self.error,
        };
        text.map(|text| without_users(&text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_is_read_as_it_is_put() {
        let mut answer = json!({
            "vhost": "/",
            "name": "fed",
            "pattern": "^fed\\.",
            "apply-to": "queues",
            "priority": 3,
            "definition": {"federation-upstream-set": "all"},
        });
        let Policy { name, policy } = serde_json::from_value(answer.clone()).unwrap();
        let answer = answer.as_object_mut().unwrap();
        assert_eq!((answer.remove("name"), answer.remove("vhost")), (Some(name.into()), Some("/".into())));
        assert_eq!(policy.value(), *answer);
    }

    #[test]
    fn arguments_are_kept_of_internal_queues_alone() {
        let internal = |name, arguments| {
            serde_json::from_value::<Queue>(json!({"name": name, "arguments": arguments})).unwrap().internal()
        };
        let name = "federation: x.events -> asia";
        let given = internal(name, json!({"x-expires": 5})).unwrap();
        assert_eq!((given.0.as_str(), json!(given.1)), (name, json!({"x-expires": 5})));
        // no arguments are an empty list
        assert_eq!(internal(name, json!([])), Some((name.into(), Map::new())));
        assert_eq!(internal("orders", json!({"x-expires": 5})), None);
    }

    #[test]
    fn the_age_of_a_link_is_known_at_any_hour() {
        for (text, age) in [("2026-11-22 2:55:20", 40), ("2026-11-22 02:55:20", 40)] {
            let link = json!({"exchange": "x", "upstream": "asia", "status": "running", "timestamp": text});
            let link: Link = serde_json::from_value(link).unwrap();
            let now = "2026-11-22T02:56:00Z".parse().unwrap();
            assert_eq!(link.into_link(Some(now)).unwrap().age, Some(age));
        }
    }

    #[test]
    fn a_node_that_has_just_started_reports_nothing_about_itself() {
        let node = Node::of(vec![json!([])]);
        assert_eq!((node.uptime, node.mem_used), (None, None));
        let node = Node::of(vec![json!({"uptime": 7})]);
        assert_eq!((node.uptime, node.mem_used), (Some(7), None));
    }

    #[test]
    fn a_stable_feature_flag_that_is_not_enabled_is_due() {
        let due = |state, stability| {
            let flag =
                json!({"name": "stream_filtering", "desc": "", "state": state, "stability": stability});
            serde_json::from_value::<FeatureFlag>(flag).unwrap().is_due()
        };
        assert!(due("disabled", "stable") && due("state_changing", "stable"));
        for (state, stability) in
            [("enabled", "stable"), ("unavailable", "stable"), ("disabled", "experimental")]
        {
            assert!(!due(state, stability), "{state}, {stability}");
        }
    }

    #[test]
    fn alarms_are_none_only_where_the_broker_says_so() {
        let names = |answer| serde_json::from_value::<Alarms>(answer).unwrap().into_names();
        let alarm = |resource| json!({"node": "rabbit@asia", "resource": resource});
        assert_eq!(names(json!({"status": "ok"})), Some(vec![]));
        let both = json!({"status": "failed", "alarms": [alarm("memory"), alarm("disk"), alarm("disk")]});
        assert_eq!(names(both), Some(vec!["disk".into(), "memory".into()]));
        assert_eq!(names(json!({"error": "not_found"})), None);
    }
}
