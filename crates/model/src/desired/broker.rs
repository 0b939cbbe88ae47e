//! What a region's broker should hold.

use serde_json::{Map, Value, json};

use super::{
    APPLICATION, BROKER, Broker, Passwords, Permissions, Policy, Upstream, User, container, link_user,
    password,
};
use crate::{
    federation::{all_but_internal_names, internal_names_of},
    secret::Secret,
    site::{ADMINISTRATOR, VHOST, amqp_uri},
    topology::{AckMode, ApplyTo, FederationPolicy, Pair, Region, Topology, UpstreamSettings},
};

pub(super) fn broker(topology: &Topology, region: &Region, passwords: &Passwords) -> Broker {
    let pairs = topology.pairs();
    let application = User {
        name: APPLICATION.into(),
        password: password(passwords, &region.name, APPLICATION).clone(),
        permissions: application_permissions(),
    };
    let links = pairs.iter().filter(|pair| pair.upstream == region.name).map(|pair| User {
        name: link_user(&pair.downstream),
        password: password(passwords, &region.name, &link_user(&pair.downstream)).clone(),
        permissions: link_permissions(pair, &topology.federation.policies),
    });
    Broker {
        region: region.name.clone(),
        container: container(&topology.name, &region.name, BROKER),
        cluster_name: region.name.to_string(),
        password: password(passwords, &region.name, ADMINISTRATOR).clone(),
        users: [application].into_iter().chain(links).collect(),
        upstreams: pairs
            .iter()
            .filter(|pair| pair.downstream == region.name)
            .map(|pair| upstream(pair, &topology.federation.upstream, passwords))
            .collect(),
        policies: topology.federation.policies.iter().map(policy).collect(),
        downstreams: pairs
            .iter()
            .filter(|pair| pair.upstream == region.name)
            .map(|pair| pair.downstream.clone())
            .collect(),
    }
}

/// Everything but the queues and exchanges that links keep their backlog in.
fn application_permissions() -> Permissions {
    let all_but_internal = all_but_internal_names();
    Permissions {
        configure: all_but_internal.clone(),
        write: all_but_internal.clone(),
        read: all_but_internal,
    }
}

/// What a link needs on the upstream and no more: its own internal queues and exchanges, and what is
/// federated, to read it and to declare it where it is not there yet.
fn link_permissions(pair: &Pair, policies: &[FederationPolicy]) -> Permissions {
    let internal = internal_names_of(&pair.downstream);
    let federated = policies.iter().map(|policy| policy.pattern.as_str());
    let readable: Vec<&str> = [internal.as_str()].into_iter().chain(federated).collect();
    let readable = format!("({})", readable.join(")|("));
    Permissions { configure: readable.clone(), write: internal, read: readable }
}

/// Every key but the URI, spelled in full: a broker restarts all links of an upstream whose definition
/// is merely spelled anew, so this must not change without need.
fn upstream(pair: &Pair, settings: &UpstreamSettings, passwords: &Passwords) -> Upstream {
    let user = link_user(&pair.downstream);
    let secret = password(passwords, &pair.upstream, &user);
    let definition = json!({
        "ack-mode": match settings.ack_mode {
            AckMode::OnConfirm => "on-confirm",
            AckMode::OnPublish => "on-publish",
            AckMode::NoAck => "no-ack",
        },
        "max-hops": settings.max_hops,
        "prefetch-count": settings.prefetch_count,
        "reconnect-delay": settings.reconnect_delay,
        // the default destroys the backlog whenever a link restarts
        "resource-cleanup-mode": "never",
    });
    let Value::Object(settings_map) = definition else { unreachable!("an object literal") };
    Upstream {
        name: pair.upstream.to_string(),
        uri: amqp_uri(
            &user,
            secret,
            pair.upstream.as_str(),
            &format!("heartbeat={}&connection_timeout=5000", settings.heartbeat),
        ),
        settings: settings_map,
    }
}

fn policy(policy: &FederationPolicy) -> Policy {
    Policy {
        name: policy.name.clone(),
        pattern: policy.pattern.clone(),
        apply_to: policy.apply_to,
        priority: policy.priority,
        definition: serde_json::Map::from_iter([("federation-upstream-set".to_owned(), json!("all"))]),
    }
}

impl ApplyTo {
    /// RabbitMQ's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ApplyTo::Exchanges => "exchanges",
            ApplyTo::Queues => "queues",
        }
    }
}

/// The file that gives a new broker its virtual host and fedctl's administrator, and no other user.
///
/// It is imported at every start, so a container made with a new password puts that password in force.
pub(super) fn definitions(password: &Secret) -> Secret {
    let administrator = administrator(password);
    let user = json!({
        "name": administrator.name,
        "password_hash": crate::password::hash(password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": ["administrator"],
    });
    let file = json!({
        "users": [user],
        "vhosts": [{"name": VHOST}],
        "permissions": [permission(&administrator)],
    });
    Secret::new(file.to_string())
}

fn administrator(password: &Secret) -> User {
    let everything = || ".*".to_owned();
    User {
        name: ADMINISTRATOR.into(),
        password: password.clone(),
        permissions: Permissions { configure: everything(), write: everything(), read: everything() },
    }
}

fn permission(user: &User) -> Value {
    let Permissions { configure, write, read } = &user.permissions;
    json!({"user": user.name, "vhost": VHOST, "configure": configure, "write": write, "read": read})
}

impl Upstream {
    /// The same upstream with a key more, or less, that changes nothing: a broker takes it for another definition and
    /// restarts its links. Perturbed again it is as before.
    #[must_use]
    pub fn perturbed(&self) -> Self {
        let mut other = self.clone();
        // false is its default
        if other.settings.remove("trust-user-id").is_none() {
            other.settings.insert("trust-user-id".into(), false.into());
        }
        other
    }

    /// The definition as RabbitMQ takes it, with the URI and the password in it.
    #[must_use]
    pub fn value(&self) -> Map<String, Value> {
        let mut value = self.settings.clone();
        value.insert("uri".into(), self.uri.expose().into());
        value
    }
}

impl Policy {
    /// The policy as RabbitMQ takes it, without its name and place.
    #[must_use]
    pub fn value(&self) -> Map<String, Value> {
        let value = [
            ("pattern", json!(self.pattern)),
            ("apply-to", json!(self.apply_to.as_str())),
            ("priority", json!(self.priority)),
            ("definition", json!(self.definition)),
        ];
        value.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
    }
}

impl Broker {
    /// All that this broker should hold, as a file for it to import at its start; passwords are in clear.
    ///
    /// The cluster's name is not in it: that is in the broker's configuration, and set in one place only.
    #[must_use]
    pub fn definitions(&self) -> Secret {
        let administrator = administrator(&self.password);
        let users = || [&administrator].into_iter().chain(&self.users);
        let user = |user: &User| {
            let tags: &[&str] = if user.name == ADMINISTRATOR { &["administrator"] } else { &[] };
            json!({"name": user.name, "password": user.password.expose(), "tags": tags})
        };
        let upstream = |upstream: &Upstream| {
            json!({
                "component": "federation-upstream",
                "vhost": VHOST,
                "name": upstream.name,
                "value": upstream.value(),
            })
        };
        let policy = |policy: &Policy| {
            let mut value = policy.value();
            value.insert("vhost".into(), VHOST.into());
            value.insert("name".into(), policy.name.as_str().into());
            value
        };
        let file = json!({
            "users": users().map(user).collect::<Vec<_>>(),
            "vhosts": [{"name": VHOST}],
            "permissions": users().map(permission).collect::<Vec<_>>(),
            "parameters": self.upstreams.iter().map(upstream).collect::<Vec<_>>(),
            "policies": self.policies.iter().map(policy).collect::<Vec<_>>(),
        });
        Secret::new(format!("{file:#}\n"))
    }
}
