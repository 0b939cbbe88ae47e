//! What a region's broker should hold.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Broker, Passwords, User, password};
use crate::{
    definition::{Permissions, Policy, Upstream, object},
    federation::{Downstream, all_but_internal_names, internal_names_of},
    names::{APPLICATION, BROKER, container},
    secret::Secret,
    site::{ADMINISTRATOR, VHOST, amqp_uri, encoded, origin_on_network},
    topology::{
        AckMode, ApplyTo, FederationPolicy, Neighbours, Region, RegionName, Topology, UpstreamSettings,
    },
};

/// What every broker's desired state is made from.
pub(super) struct Lowering<'t> {
    pub topology: &'t Topology,
    pub passwords: &'t Passwords,
    pub max_hops: u32,
    pub regions: BTreeMap<&'t RegionName, &'t Region>,
}

impl Lowering<'_> {
    pub fn broker(&self, region: &Region, neighbours: &Neighbours) -> Broker {
        let Self { topology, passwords, .. } = self;
        let policies = &topology.federation.policies;
        let upstream = |name: &RegionName| {
            let uri = self.upstream_uri(self.regions[name], &region.name);
            let settings = upstream_settings(&topology.federation.upstream, self.max_hops);
            (name.to_string(), Upstream { uri, settings })
        };
        let downstream =
            |name: &RegionName| (self.regions[name].as_downstream_of(region).to_string(), name.clone());
        let started = region.broker.is_none();
        Broker {
            region: region.name.clone(),
            container: started.then(|| container(&topology.name, &region.name, BROKER)),
            cluster_name: region.cluster_name().to_owned(),
            vhost: region.vhost().to_owned(),
            password: started.then(|| password(passwords, &region.name, ADMINISTRATOR).clone()),
            parameter: topology.ownership_parameter(region),
            users: self.users(region, neighbours),
            upstreams: neighbours.upstreams.iter().map(upstream).collect(),
            policies: policies.iter().map(|found| (found.name.clone(), policy(found))).collect(),
            downstreams: neighbours.downstreams.iter().map(downstream).collect(),
        }
    }

    /// The users that fedctl makes.
    fn users(&self, region: &Region, neighbours: &Neighbours) -> BTreeMap<String, User> {
        let user = |name: String, permissions, downstream| {
            let password = password(self.passwords, &region.name, &name).clone();
            (name, User { password, permissions, downstream })
        };
        let policies = &self.topology.federation.policies;
        let downstreams = neighbours.downstreams.iter().filter(|_| region.shared_link_user().is_none());
        let links = downstreams.map(|name| {
            let downstream = self.regions[name].as_downstream_of(region);
            let permissions = link_permissions(&downstream, policies);
            user(self.topology.link_user(region, name), permissions, Some(name.clone()))
        });
        let application = region.broker.is_none();
        links.chain(application.then(|| user(APPLICATION.into(), application_permissions(), None))).collect()
    }

    fn upstream_uri(&self, upstream: &Region, downstream: &RegionName) -> Secret {
        let user = self.topology.link_user(upstream, downstream);
        let secret = password(self.passwords, &upstream.name, &user);
        let given = upstream.shared_link_user().map(|_| Secret::new(encoded(secret.expose())));
        let secret = given.as_ref().unwrap_or(secret);
        let heartbeat = self.topology.federation.upstream.heartbeat;
        let origin = match &upstream.broker {
            None => origin_on_network(upstream.name.as_str()),
            Some(broker) => broker.advertise.clone().unwrap_or_else(|| broker.amqp.clone()),
        };
        let (origin, given) = origin.split_once('?').unwrap_or((&origin, ""));
        let given = if given.is_empty() { String::new() } else { format!("&{given}") };
        let parameters = format!("heartbeat={heartbeat}&connection_timeout=5000{given}");
        amqp_uri(&user, secret, origin, upstream.vhost(), &parameters)
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
/// federated, to read it and to declare it if it does not exist yet.
fn link_permissions(downstream: &Downstream, policies: &[FederationPolicy]) -> Permissions {
    let internal = internal_names_of(downstream);
    let federated = policies.iter().map(|policy| policy.pattern.as_str());
    let readable: Vec<&str> = [internal.as_str()].into_iter().chain(federated).collect();
    let readable = format!("({})", readable.join(")|("));
    Permissions { configure: readable.clone(), write: internal, read: readable }
}

/// These keys are given also with their defaults: to leave one out or to add one later is another definition to a broker,
/// which then restarts all links of the upstream. The others are given only if the topology sets them.
fn upstream_settings(settings: &UpstreamSettings, max_hops: u32) -> Map<String, Value> {
    let ack_mode = match settings.ack_mode {
        AckMode::OnConfirm => "on-confirm",
        AckMode::OnPublish => "on-publish",
        AckMode::NoAck => "no-ack",
    };
    let mut given = object([
        ("ack-mode", json!(ack_mode)),
        ("max-hops", json!(max_hops)),
        ("prefetch-count", json!(settings.prefetch_count)),
        ("reconnect-delay", json!(settings.reconnect_delay)),
        // RabbitMQ's default destroys the backlog whenever a link restarts
        ("resource-cleanup-mode", json!(settings.resource_cleanup_mode.as_str())),
    ]);
    let others = [
        ("bind-nowait", settings.bind_nowait.then_some(Value::Bool(true))),
        ("expires", settings.expires.map(Value::from)),
        ("message-ttl", settings.message_ttl.map(Value::from)),
        ("queue-type", settings.queue_type.map(|queue_type| json!(queue_type.as_str()))),
        ("trust-user-id", settings.trust_user_id.then_some(Value::Bool(true))),
    ];
    given.extend(others.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    given
}

fn policy(policy: &FederationPolicy) -> Policy {
    let mut definition = policy.definition.clone();
    definition.insert("federation-upstream-set".into(), json!("all"));
    Policy {
        pattern: policy.pattern.clone(),
        apply_to: policy.apply_to.as_str().to_owned(),
        priority: policy.priority,
        definition,
    }
}

impl ApplyTo {
    /// As RabbitMQ spells it.
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
/// It is imported at every start, so a container created with a new password applies that password.
pub(super) fn definitions(password: &Secret) -> Secret {
    let administrator = administrator(password);
    let user = json!({
        "name": ADMINISTRATOR,
        "password_hash": crate::password::hash(password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": ["administrator"],
    });
    let file = json!({
        "users": [user],
        "vhosts": [{"name": VHOST}],
        "permissions": [permission(ADMINISTRATOR, &administrator)],
    });
    Secret::new(file.to_string())
}

fn administrator(password: &Secret) -> User {
    let everything = || ".*".to_owned();
    User {
        password: password.clone(),
        permissions: Permissions { configure: everything(), write: everything(), read: everything() },
        downstream: None,
    }
}

fn permission(name: &str, user: &User) -> Map<String, Value> {
    let mut value = user.permissions.value();
    value.extend(object([("user", json!(name)), ("vhost", json!(VHOST))]));
    value
}

impl Broker {
    /// All that this broker should hold, as a file for it to import at its start; passwords are in clear.
    ///
    /// The cluster's name is not in it: that is in the broker's configuration, and set in one place only.
    #[must_use]
    pub fn definitions(&self) -> Secret {
        let administrator =
            self.password.as_ref().map(|password| (ADMINISTRATOR.to_owned(), administrator(password)));
        let users = || administrator.iter().map(|(name, user)| (name, user)).chain(&self.users);
        let user = |(name, user): (&String, &User)| {
            let tags: &[&str] = if name == ADMINISTRATOR { &["administrator"] } else { &[] };
            json!({"name": name, "password": user.password.expose(), "tags": tags})
        };
        let upstream = |(name, upstream): (&String, &Upstream)| {
            json!({
                "component": "federation-upstream",
                "vhost": VHOST,
                "name": name,
                "value": upstream.value(),
            })
        };
        let policy = |(name, policy): (&String, &Policy)| {
            let mut value = policy.value();
            value.extend(object([("vhost", json!(VHOST)), ("name", json!(name))]));
            value
        };
        let file = json!({
            "users": users().map(user).collect::<Vec<_>>(),
            "vhosts": [{"name": VHOST}],
            "permissions": users().map(|(name, user)| permission(name, user)).collect::<Vec<_>>(),
            "parameters": self.upstreams.iter().map(upstream).collect::<Vec<_>>(),
            "policies": self.policies.iter().map(policy).collect::<Vec<_>>(),
        });
        Secret::new(format!("{file:#}\n"))
    }
}
