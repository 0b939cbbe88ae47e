//! What a broker holds, as far as checks look at it: list calls only, however much it holds.

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Broker, Result, answer};
use fedctl_model::{
    check::{AmqpUri, BrokerFacts, Exchange, Expiring, Node, Queue, Rule, Upstream, Usage, User},
    secret::Secret,
};

impl Broker {
    /// What the broker holds. What fedctl's user may not see, or the broker's version does not know, is left out.
    pub async fn facts(&self) -> Result<BrokerFacts> {
        let vhost = self.site.vhost.as_str();
        let overview = async {
            let query = "columns=cluster_name,listeners";
            let (overview, now) = self.get_at::<Overview>(&["overview"], query).await?;
            let ahead = now.map(|now| now.as_second() - Timestamp::now().as_second());
            let expiring = if overview.encrypts() { self.expiring().await? } else { Vec::new() };
            Ok((overview, ahead, expiring))
        };
        let queues = "disable_stats=true&enable_queue_totals=true";
        let exchanges = "columns=name,type";
        let (
            (overview, clock_ahead, expiring),
            queues,
            exchanges,
            nodes,
            policies,
            operators,
            upstreams,
            sets,
            users,
            flags,
            deprecated,
        ) = tokio::try_join!(
            overview,
            self.get::<Vec<QueueAnswer>>(["queues", vhost], queues),
            self.get::<Vec<ExchangeAnswer>>(["exchanges", vhost], exchanges),
            self.get::<Vec<Value>>(["nodes"], NODE_COLUMNS),
            self.get::<Vec<answer::Policy>>(["policies", vhost], ""),
            self.visible::<answer::Policy>(["operator-policies", vhost]),
            self.visible::<Parameter<Map<String, Value>>>(["parameters", "federation-upstream", vhost]),
            self.visible::<Parameter<Vec<Member>>>(["parameters", "federation-upstream-set", vhost]),
            self.visible::<UserAnswer>(["users"]),
            self.visible::<answer::FeatureFlag>(["feature-flags"]),
            self.visible::<answer::Name>(["deprecated-features", "used"]),
        )?;
        let rules = |policies: Vec<answer::Policy>, is_operators| {
            let rule =
                move |found: answer::Policy| Rule { name: found.name, is_operators, policy: found.policy };
            policies.into_iter().map(rule)
        };
        let due = flags.unwrap_or_default().into_iter().filter(answer::FeatureFlag::is_due);
        Ok(BrokerFacts {
            cluster_name: overview.cluster_name,
            clock_ahead,
            nodes: nodes.iter().filter_map(node).collect(),
            exchanges: exchanges.into_iter().map(Into::into).collect(),
            queues: queues.into_iter().map(Into::into).collect(),
            policies: rules(policies, false).chain(rules(operators.unwrap_or_default(), true)).collect(),
            upstreams: upstreams.unwrap_or_default().into_iter().map(upstream).collect(),
            upstream_sets: sets.unwrap_or_default().into_iter().map(members).collect(),
            users: users.map(|users| users.into_iter().map(user).collect()),
            disabled_flags: due.map(|flag| flag.name).collect(),
            deprecated: deprecated.unwrap_or_default().into_iter().map(|feature| feature.name).collect(),
            expiring,
        })
    }

    /// A list, or none where fedctl's user may not see it or the broker does not have it.
    async fn visible<'p, T: DeserializeOwned>(&self, path: impl AsRef<[&'p str]>) -> Result<Option<Vec<T>>> {
        match self.get(path, "").await {
            Err(error) if error.is_unauthorized() || error.is_unknown_resource() => Ok(None),
            listed => listed.map(Some),
        }
    }

    /// Listeners whose certificate expires within a month. The health check fails with them.
    async fn expiring(&self) -> Result<Vec<Expiring>> {
        let path = ["health", "checks", "certificate-expiration", "1", "months"];
        let answer = self.request(Method::GET, &path, "", None).await?;
        let expired = self.read::<Certificates>(Method::GET, &path, &answer)?.expired;
        Ok(expired.into_iter().map(Into::into).collect())
    }
}

const NODE_COLUMNS: &str = "columns=name,running,partitions,fd_used,fd_total,sockets_used,sockets_total,proc_used,\
                            proc_total,mem_used,mem_limit,disk_free,disk_free_limit";

#[derive(Deserialize)]
struct Overview {
    #[serde(default)]
    cluster_name: String,
    #[serde(default)]
    listeners: Vec<Listener>,
}

#[derive(Deserialize)]
struct Listener {
    protocol: String,
}

impl Overview {
    /// Whether a listener has a certificate: `amqp/ssl`, `https`, `https/web-mqtt`.
    fn encrypts(&self) -> bool {
        let protocols = self.listeners.iter().map(|listener| listener.protocol.as_str());
        protocols.into_iter().any(|protocol| protocol.ends_with("/ssl") || protocol.starts_with("https"))
    }
}

#[derive(Deserialize)]
struct QueueAnswer {
    name: String,
    #[serde(default)]
    r#type: String,
    #[serde(default = "yes")]
    durable: bool,
    #[serde(default)]
    exclusive: bool,
    #[serde(default)]
    auto_delete: bool,
}

fn yes() -> bool {
    true
}

impl From<QueueAnswer> for Queue {
    fn from(QueueAnswer { name, r#type, durable, exclusive, auto_delete }: QueueAnswer) -> Self {
        Self { name, kind: r#type, durable, exclusive, auto_delete }
    }
}

#[derive(Deserialize)]
struct ExchangeAnswer {
    name: String,
    r#type: String,
}

impl From<ExchangeAnswer> for Exchange {
    fn from(ExchangeAnswer { name, r#type }: ExchangeAnswer) -> Self {
        Self { name, kind: r#type }
    }
}

/// A node; none where it says nothing yet, as in the first seconds after its start. What is no number, such as free disk
/// space that nobody watches, is not known.
fn node(answer: &Value) -> Option<Node> {
    let number = |key: &str| answer[key].as_u64();
    let usage = |used: &str, limit: &str| Usage { used: number(used), limit: number(limit) };
    let partitions = answer["partitions"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Some(Node {
        name: answer["name"].as_str()?.to_owned(),
        running: answer["running"].as_bool()?,
        partitions: partitions.map(str::to_owned).collect(),
        file_descriptors: usage("fd_used", "fd_total"),
        sockets: usage("sockets_used", "sockets_total"),
        processes: usage("proc_used", "proc_total"),
        memory: usage("mem_used", "mem_limit"),
        disk_free: number("disk_free"),
        disk_limit: number("disk_free_limit"),
    })
}

#[derive(Deserialize)]
struct Parameter<T> {
    name: String,
    value: T,
}

/// The passwords in its URIs are left behind.
fn upstream(Parameter { name, mut value }: Parameter<Map<String, Value>>) -> (String, Upstream) {
    let uris = match value.remove("uri") {
        Some(Value::Array(uris)) => uris,
        Some(uri) => vec![uri],
        None => Vec::new(),
    };
    let uris = uris.into_iter().filter_map(|uri| match uri {
        Value::String(uri) => AmqpUri::parse(&Secret::new(uri)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    });
    (name, Upstream { uris: uris.collect(), settings: value })
}

#[derive(Deserialize)]
struct Member {
    upstream: String,
}

fn members(Parameter { name, value }: Parameter<Vec<Member>>) -> (String, Vec<String>) {
    (name, value.into_iter().map(|member| member.upstream).collect())
}

#[derive(Deserialize)]
struct UserAnswer {
    name: String,
    #[serde(default)]
    tags: Tags,
}

/// A list from 3.9 on; text with commas before.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tags {
    List(Vec<String>),
    Text(String),
}

impl Default for Tags {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

fn user(UserAnswer { name, tags }: UserAnswer) -> (String, User) {
    let tags = match tags {
        Tags::List(tags) => tags,
        Tags::Text(tags) => tags.split(',').map(str::to_owned).collect(),
    };
    (name, User { tags: tags.into_iter().collect() })
}

/// What the health check of certificates answers: `ok`, or the listeners.
#[derive(Deserialize)]
struct Certificates {
    #[serde(default)]
    expired: Vec<Certificate>,
}

#[derive(Deserialize)]
struct Certificate {
    port: u16,
    /// Times; something else where a file cannot be read.
    #[serde(default)]
    certfile_expires_on: Value,
    #[serde(default)]
    cacertfile_expires_on: Value,
}

impl From<Certificate> for Expiring {
    fn from(Certificate { port, certfile_expires_on, cacertfile_expires_on }: Certificate) -> Self {
        let times = [certfile_expires_on, cacertfile_expires_on];
        let times = times.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str);
        Self { port, at: times.min().unwrap_or("a time that it does not say").to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_upstream_with_several_uris_has_all_of_them_and_no_password() {
        let value = json!({"uri": ["amqp://a:secret@one", "amqps://two"], "ack-mode": "no-ack"});
        let parameter: Parameter<Map<String, Value>> =
            serde_json::from_value(json!({"name": "both", "value": value})).unwrap();
        let (name, upstream) = upstream(parameter);
        let hosts: Vec<_> = upstream.uris.iter().map(|uri| uri.host.as_deref().unwrap()).collect();
        assert_eq!((name.as_str(), hosts), ("both", vec!["one", "two"]));
        assert!(!format!("{upstream:?}").contains("secret"), "{upstream:?}");
        assert_eq!(upstream.settings.keys().collect::<Vec<_>>(), ["ack-mode"]);
    }

    #[test]
    fn the_tags_of_a_user_are_a_list_or_a_text() {
        for tags in [json!(["monitoring", "administrator"]), json!("monitoring,administrator")] {
            let (_, user) = user(serde_json::from_value(json!({"name": "ada", "tags": tags})).unwrap());
            assert!(user.tags.contains("administrator"), "{user:?}");
        }
    }

    #[test]
    fn the_first_time_counts_at_which_a_certificate_of_a_listener_expires() {
        let answer = json!({"status": "failed", "expired": [{"port": 5671, "protocol": "amqp/ssl",
            "certfile_expires_on": ["2026-12-11 9:00:00"], "cacertfile_expires_on": []}]});
        let answer: Certificates = serde_json::from_value(answer).unwrap();
        let found: Vec<Expiring> = answer.expired.into_iter().map(Into::into).collect();
        assert_eq!(found, [Expiring { port: 5671, at: "2026-12-11 9:00:00".into() }]);
        let fine: Certificates = serde_json::from_value(json!({"status": "ok"})).unwrap();
        assert!(fine.expired.is_empty());
    }

    #[test]
    fn a_node_says_what_it_uses_or_nothing_yet() {
        assert!(node(&json!([])).is_none());
        let node = node(&json!({"name": "rabbit@asia", "running": true, "fd_used": 5, "fd_total": 9,
            "disk_free": "disk_free_monitoring_disabled"}))
        .unwrap();
        assert_eq!(node.file_descriptors, Usage { used: Some(5), limit: Some(9) });
        assert_eq!((node.running, node.disk_free), (true, None));
    }
}
