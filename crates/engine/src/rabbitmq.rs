//! A broker's management API, in its own terms.

mod answer;
mod connector;
mod error;
mod facts;
mod flags;
mod health;
mod http;
mod listing;
mod probe;
mod upstream;

use std::{sync::Arc, time::Duration};

pub use connector::Connector;
use connector::Turns;
pub use error::BrokerError;
use error::Cause;
pub(crate) use listing::{Look, TOGETHER};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use fedctl_model::{
    definition::{Permissions, Policy},
    import::Found,
    names::recorded_project,
    observed::{Definitions, Owned, Plugin, Reported, Resource},
    password,
    plan::Change,
    secret::Secret,
    site::{Address, Site},
    topology::RegionName,
};

/// How long a broker may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The first bytes of an AMQP client, and how the broker's answer begins: a method on channel 0.
const AMQP_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
const AMQP_METHOD: [u8; 3] = [1, 0, 0];
/// Of exchanges nothing but their names, and where they belong.
const NAMES: &str = "columns=vhost,name";

/// A broker, reached through its management API.
#[derive(Debug, Clone)]
pub struct Broker {
    site: Site,
    password: Secret,
    base: Url,
    client: Client,
    turns: Turns,
    /// What others have asked who look at its other virtual hosts at the same time.
    look: Option<Arc<Look>>,
}

type Result<T> = std::result::Result<T, BrokerError>;

/// Whether a broker speaks AMQP at this address, which it begins last of all when it starts. That something accepts
/// a connection proves nothing: the engine's proxy always does. Of what is encrypted nothing else is known.
pub async fn speaks_amqp(address: &Address) -> bool {
    let greet = async {
        let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        if address.tls {
            return Ok(true);
        }
        stream.write_all(AMQP_HEADER).await?;
        let mut frame = [0; AMQP_METHOD.len()];
        stream.read_exact(&mut frame).await?;
        Ok::<_, std::io::Error>(frame == AMQP_METHOD)
    };
    matches!(timeout(CONNECT_TIMEOUT, greet).await, Ok(Ok(true)))
}

impl Broker {
    /// The broker, as one of those who look at it at the same time.
    pub(crate) fn sharing(mut self, look: Arc<Look>) -> Self {
        self.look = Some(look);
        self
    }

    /// Where it is.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Whether the broker accepts AMQP connections: its listener opens last of all. One that fedctl did not start may listen
    /// behind another port than it is reached by, and is taken to be up if it knows fedctl's user.
    ///
    /// # Errors
    ///
    /// If it does not yet, or the management API does not answer.
    pub async fn ready(&self) -> Result<()> {
        match self.site.listener {
            Some(port) => {
                let port = port.to_string();
                self.get::<Value>(["health", "checks", "port-listener", &port], "").await.map(drop)
            }
            None => self.get::<Value>(["whoami"], "").await.map(drop),
        }
    }

    /// Makes one change of a plan. To wait is not a change: the broker is ready when this returns.
    pub async fn change(&self, change: &Change) -> Result<()> {
        let _turn = match change {
            Change::PutUpstream { .. }
            | Change::PutPolicy { .. }
            | Change::DeleteUpstream { .. }
            | Change::DeletePolicy { .. }
            | Change::RestartLink { .. } => Some(self.turns.changes.acquire().await),
            Change::Await { .. }
            | Change::AwaitLinks { .. }
            | Change::EnableFeatureFlags
            | Change::PutVhost { .. }
            | Change::PutClusterName { .. }
            | Change::PutUser { .. }
            | Change::PutPermissions { .. }
            | Change::RecordOwnership { .. }
            | Change::DeleteUser { .. }
            | Change::DeleteExchange { .. }
            | Change::DeleteEmptyQueue { .. }
            | Change::DeleteQueue { .. } => None,
        };
        match change {
            Change::Await { .. } | Change::AwaitLinks { .. } => self.ready().await,
            Change::EnableFeatureFlags => self.enable_feature_flags().await,
            Change::PutVhost { name } => self.put(&["vhosts", name], &json!({})).await,
            Change::PutClusterName { name } => self.put_cluster_name(name).await,
            Change::PutUser { name, password } => self.put_user(name, password).await,
            Change::PutPermissions { user, permissions } => self.put_permissions(user, permissions).await,
            Change::PutUpstream { name, upstream } => self.put_upstream(name, upstream).await,
            Change::PutPolicy { name, policy } => self.put_policy(name, policy).await,
            Change::RecordOwnership { parameter, owned } => self.put_owned(parameter, owned).await,
            Change::DeleteUser { name } => self.delete_user(name).await,
            Change::DeleteUpstream { name } => self.delete_upstream(name).await,
            Change::DeletePolicy { name } => self.delete_policy(name).await,
            Change::RestartLink { upstream, resource } => self.restart_link(upstream, resource).await,
            Change::DeleteExchange { name } => self.delete_exchange(name).await,
            Change::DeleteEmptyQueue { name } => self.delete_empty_queue(name).await,
            Change::DeleteQueue { name, .. } => self.delete_queue(name).await,
        }
    }

    /// What the broker holds, as far as a plan needs it, or the plugin without which it does not say.
    pub async fn definitions(&self) -> Result<std::result::Result<Definitions, Plugin>> {
        if !self.site.is_ours() {
            return Box::pin(self.definitions_elsewhere()).await;
        }
        let (lacks_a_plugin, held) = tokio::join!(self.lacks_a_plugin(), self.all_definitions(true));
        if lacks_a_plugin? { self.missing_plugin().await.map(Err) } else { held.map(Ok) }
    }

    /// The same of a broker that fedctl did not start, as far as it may ask for it.
    async fn definitions_elsewhere(&self) -> Result<std::result::Result<Definitions, Plugin>> {
        let identity = self.get_once::<answer::Identity>(&["whoami"], "").await?;
        let (administers, tags) = (identity.administers(), identity.tags);
        let reads = administers || tags.contains("monitoring");
        let writes = administers || tags.contains("policymaker");
        let lacks_vhost = match self.list::<Value>([&["exchanges"], &[]], NAMES).await {
            Err(error) if error.is_not_found() => true,
            answer => answer.map(|_| false)?,
        };
        let known = reads && writes && !lacks_vhost;
        if known && self.lacks_a_plugin().await? {
            return self.missing_plugin().await.map(Err);
        }
        let mut held = if known {
            Box::pin(self.all_definitions(administers)).await?
        } else {
            self.named(writes, administers).await?
        };
        (held.tags, held.lacks_vhost) = (Some(tags), lacks_vhost);
        Ok(Ok(held))
    }

    /// Only what is not in a virtual host: the cluster's name, and as far as fedctl's user may see them, what projects
    /// recorded, and users.
    async fn named(&self, writes: bool, administers: bool) -> Result<Definitions> {
        let answer::Name { name: cluster_name } = self.get_once(&["cluster-name"], "").await?;
        let (owned, others) = if writes { self.recorded().await? } else { Default::default() };
        let users = self.users(administers).await?;
        let users = users.into_iter().map(|user| (user.name, user.password_hash)).collect();
        Ok(Definitions { cluster_name, owned, others, users, ..Definitions::default() })
    }

    /// What it holds of a federation, whoever made it.
    pub async fn importable(&self) -> Result<Found> {
        let vhost = self.site.vhost.as_str();
        let (held, parameters) = tokio::try_join!(
            self.all_definitions(false),
            self.get_once::<Vec<answer::AnyParameter>>(&["parameters"], ""),
        )?;
        let here = parameters.into_iter().filter(|found| found.vhost == vhost);
        Ok(Found::of(held, vhost, here.map(|found| (found.component, found.name))))
    }

    /// Whether it lacks a plugin that links need.
    async fn lacks_a_plugin(&self) -> Result<bool> {
        match self.list::<Value>([&["federation-links"], &["state", "down"]], "").await {
            Err(error) if error.is_unknown_resource() => Ok(true),
            // links that just start and stop make it fail
            Err(error) if !error.is_internal() => Err(error),
            Ok(_) | Err(_) => Ok(false),
        }
    }

    /// With users and their permissions only for an administrator.
    async fn all_definitions(&self, administers: bool) -> Result<Definitions> {
        let itself =
            async { tokio::try_join!(self.version(), self.get_once::<answer::Name>(&["cluster-name"], "")) };
        let (itself, users, permissions, upstreams, policies, exchanges, queues, (owned, others)) = tokio::try_join!(
            itself,
            self.users(administers),
            self.permissions(administers),
            self.list::<answer::Parameter>([&["parameters", "federation-upstream"], &[]], ""),
            self.list::<answer::Policy>([&["policies"], &[]], ""),
            self.list::<answer::Name>([&["exchanges"], &[]], NAMES),
            self.listed_queues(),
            self.recorded(),
        )?;
        let (version, cluster_name) = itself;
        Ok(Definitions {
            tags: None,
            lacks_vhost: false,
            version: Some(version),
            cluster_name: cluster_name.name,
            users: users.into_iter().map(|user| (user.name, user.password_hash)).collect(),
            permissions: permissions.into_iter().map(|found| (found.user, found.permissions)).collect(),
            upstreams: upstreams.0.into_iter().map(answer::Parameter::into_upstream).collect(),
            policies: policies.0.into_iter().map(|found| (found.name, found.policy)).collect(),
            exchanges: exchanges.0.into_iter().map(|exchange| exchange.name).collect(),
            internal: queues.iter().filter_map(answer::Queue::internal).collect(),
            queues: queues.into_iter().map(Into::into).collect(),
            owned,
            others,
        })
    }

    async fn users(&self, administers: bool) -> Result<Vec<answer::User>> {
        if administers { self.get_once(&["users"], "").await } else { Ok(Vec::new()) }
    }

    /// The virtual host's permissions. Those of all are not asked for by its name.
    async fn permissions(&self, administers: bool) -> Result<Vec<answer::Permission>> {
        let path: [&[&str]; 2] =
            if self.look.is_some() { [&["permissions"], &[]] } else { [&["vhosts"], &["permissions"]] };
        if administers { Ok(self.list(path, "").await?.0) } else { Ok(Vec::new()) }
    }

    /// What the project recorded as its own on this broker, if it recorded anything.
    pub async fn owned(&self) -> Result<Option<Owned>> {
        Ok(self.recorded().await?.0)
    }

    /// The same, and what other projects recorded.
    async fn recorded(&self) -> Result<(Option<Owned>, Vec<(String, Owned)>)> {
        let path = ["global-parameters"];
        let (mut own, mut others) = (None, Vec::new());
        for found in self.get_once::<Vec<answer::GlobalParameter>>(&path, "").await? {
            let Some(project) = recorded_project(&found.name) else { continue };
            let owned = || serde_json::from_str(found.value.get());
            if found.name == self.site.parameter {
                own =
                    Some(owned().map_err(|error| {
                        self.failed(Method::GET, &path, Cause::Malformed(Arc::new(error)))
                    })?);
            } else if Some(project) != recorded_project(&self.site.parameter) {
                // what cannot be read is no record of fedctl's
                others.extend(owned().ok().map(|owned| (project.to_owned(), owned)));
            }
        }
        Ok((own, others))
    }

    /// Sets the cluster name.
    pub async fn put_cluster_name(&self, name: &str) -> Result<()> {
        self.put(&["cluster-name"], &json!({ "name": name })).await
    }

    /// Puts a user. Only a hash of the password is sent.
    pub async fn put_user(&self, name: &str, password: &Secret) -> Result<()> {
        let body = json!({
            "password_hash": password::hash(password),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": "",
        });
        self.put(&["users", name], &body).await
    }

    /// Puts a user's permissions.
    pub async fn put_permissions(&self, user: &str, permissions: &Permissions) -> Result<()> {
        let path = ["permissions", &self.site.vhost, user];
        self.put(&path, &Value::Object(permissions.value())).await
    }

    /// Puts a policy.
    pub async fn put_policy(&self, name: &str, policy: &Policy) -> Result<()> {
        self.put(&["policies", &self.site.vhost, name], &Value::Object(policy.value())).await
    }

    /// Records what a project owns on this broker.
    pub async fn put_owned(&self, parameter: &str, owned: &Owned) -> Result<()> {
        self.put(&["global-parameters", parameter], &json!({ "value": owned })).await
    }

    /// Deletes a user. One that does not exist is not an error, here and below.
    pub async fn delete_user(&self, name: &str) -> Result<()> {
        self.delete(&["users", name], "").await
    }

    /// Deletes a policy.
    pub async fn delete_policy(&self, name: &str) -> Result<()> {
        let vhost = self.site.vhost.as_str();
        self.delete(&["policies", vhost, name], "").await
    }

    /// Deletes an exchange.
    pub async fn delete_exchange(&self, name: &str) -> Result<()> {
        let vhost = self.site.vhost.as_str();
        self.delete(&["exchanges", vhost, name], "").await
    }

    /// Deletes a queue if no message is in it; the broker itself makes sure of that.
    ///
    /// # Errors
    ///
    /// If a message is in it, or the broker does not answer or refuses.
    pub async fn delete_empty_queue(&self, name: &str) -> Result<()> {
        let vhost = self.site.vhost.as_str();
        self.delete(&["queues", vhost, name], "if-empty=true").await
    }

    /// Deletes a queue with the messages in it.
    pub async fn delete_queue(&self, name: &str) -> Result<()> {
        let vhost = self.site.vhost.as_str();
        self.delete(&["queues", vhost, name], "").await
    }

    /// Publishes a persistent message. The management API takes an exchange's name only, so the default exchange
    /// is addressed by its name there.
    ///
    /// # Errors
    ///
    /// If it is unroutable, or the broker does not answer or refuses.
    pub async fn publish(&self, exchange: &str, key: &str, body: &str, correlation_id: &str) -> Result<()> {
        let vhost = self.site.vhost.as_str();
        let exchange = if exchange.is_empty() { "amq.default" } else { exchange };
        let path = ["exchanges", vhost, exchange, "publish"];
        let message = json!({
            "properties": {"delivery_mode": 2, "correlation_id": correlation_id},
            "routing_key": key,
            "payload": body,
            "payload_encoding": "string",
        });
        let answer: answer::Published = self.post(&path, &message).await?;
        if answer.routed { Ok(()) } else { Err(self.failed(Method::POST, &path, Cause::Unroutable)) }
    }

    /// Restarts a link. One that does not exist is not an error.
    pub async fn restart_link(&self, upstream: &RegionName, resource: &Resource) -> Result<()> {
        let vhost = self.site.vhost.as_str();
        let (links, _) = self.links(Reported::All, "").await?;
        for link in links.iter().filter(|link| link.is(upstream.as_str(), resource)) {
            self.delete(&["federation-links", "vhost", vhost, &link.id, &link.node, "restart"], "").await?;
        }
        Ok(())
    }
}
