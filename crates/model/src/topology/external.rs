//! A broker that fedctl did not start.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Region, RegionName, Topology};
use crate::{
    desired::PasswordId,
    federation::Downstream,
    names::{link_user, ownership_parameter},
    site::{ADMINISTRATOR, AMQP, Address, HTTP, VHOST, decoded},
};

/// A broker that runs already, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExternalBroker {
    /// The management API, by `http` or `https`: without user and password, and with the path that a reverse proxy adds.
    pub management: String,
    /// The AMQP listener, by `amqp` or `amqps`: without user, password and virtual host.
    pub amqp: String,
    /// The same as the brokers of other regions reach it, if they do it by another address, or with parameters of
    /// RabbitMQ's client such as `?verify=verify_peer&cacertfile=/etc/rabbitmq/ca.pem`. `amqp://` alone is the same
    /// broker, for regions that are virtual hosts of one.
    #[serde(default)]
    pub advertise: Option<String>,
    /// The virtual host; `up` creates one that does not exist.
    #[serde(default = "vhost")]
    #[schemars(length(min = 1, max = 255))]
    pub vhost: String,
    /// The name of its cluster, the region's by default. fedctl does not change it: messages that wait for the cluster
    /// would be left behind.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    pub cluster_name: Option<String>,
    /// The user that fedctl works as: with the tags `monitoring` and `policymaker`, or `administrator` where fedctl
    /// makes users and virtual hosts.
    #[serde(default = "administrator")]
    #[schemars(length(min = 1, max = 255))]
    pub user: String,
    /// The environment variable that holds its password, as `${NAME}`. Without it and a file the password is looked for in
    /// `.fedctl/passwords.json`, under region and user.
    #[serde(default)]
    pub password: Option<String>,
    /// The file whose first line is its password, relative to this one.
    #[serde(default)]
    pub password_file: Option<String>,
    /// The certificates of those who signed the broker's, in PEM; by default those that the system trusts.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// The user that other regions' links connect as; by default `up` makes one for each of them.
    #[serde(default)]
    pub link_user: Option<LinkUser>,
}

/// Where a password is: never in the file itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordSource<'t> {
    /// In this environment variable.
    Variable(&'t str),
    /// It is the first line of this file, relative to the topology's.
    File(&'t str),
    /// In `.fedctl/passwords.json`.
    Workdir,
}

/// The name of the variable in `${NAME}`.
pub(super) fn variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    Some(name).filter(|name| !name.is_empty() && is_name(name))
}

fn source<'t>(password: Option<&'t str>, file: Option<&'t str>) -> PasswordSource<'t> {
    match (password.and_then(variable), file) {
        (Some(name), _) => PasswordSource::Variable(name),
        (None, Some(file)) => PasswordSource::File(file),
        (None, None) => PasswordSource::Workdir,
    }
}

/// A user that exists already.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LinkUser {
    /// Its name.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// The environment variable that holds its password, likewise.
    #[serde(default)]
    pub password: Option<String>,
    /// The file with its password.
    #[serde(default)]
    pub password_file: Option<String>,
}

fn vhost() -> String {
    VHOST.to_owned()
}

fn administrator() -> String {
    ADMINISTRATOR.to_owned()
}

impl ExternalBroker {
    /// The broker whose management API is at this URL, which may name the user: with AMQP at the usual port of the same
    /// host, and the password in a variable that is called after the region.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL, in words that follow those for it.
    pub fn at(url: &str, region: &RegionName) -> Result<Self, String> {
        let mut parsed = Url::parse(url).map_err(|error| error.to_string())?;
        if parsed.password().is_some() {
            return Err("a password in a URL is seen by whoever lists processes".into());
        }
        let given = Some(decoded(parsed.username())).filter(|user| !user.is_empty());
        parsed.set_username("").ok();
        let (address, prefix) = Address::parse(parsed.as_str(), HTTP)?;
        let [(plain, _), (encrypted, _)] = AMQP;
        let scheme = if address.tls { encrypted } else { plain };
        Ok(Self {
            management: format!("{}{prefix}", parsed.origin().ascii_serialization()),
            amqp: format!("{scheme}://{}", address.host),
            advertise: None,
            vhost: vhost(),
            cluster_name: None,
            user: given.unwrap_or_else(administrator),
            password: Some(format!("${{{}}}", password_variable(region, "PASSWORD"))),
            password_file: None,
            ca_file: None,
            link_user: None,
        })
    }
}

/// The environment variable for a password of a region.
#[must_use]
pub fn password_variable(region: &RegionName, of: &str) -> String {
    format!("{}_{of}", region.as_str().to_uppercase().replace('-', "_"))
}

impl Region {
    /// The virtual host that the region is.
    #[must_use]
    pub fn vhost(&self) -> &str {
        self.broker.as_ref().map_or(VHOST, |broker| &broker.vhost)
    }

    /// The name by which federation knows its broker.
    #[must_use]
    pub fn cluster_name(&self) -> &str {
        let given = self.broker.as_ref().and_then(|broker| broker.cluster_name.as_deref());
        given.unwrap_or(self.name.as_str())
    }

    /// The region as `upstream` names it.
    #[must_use]
    pub fn as_downstream_of(&self, upstream: &Region) -> Downstream {
        Downstream::new(self.cluster_name(), (self.vhost() != upstream.vhost()).then(|| self.vhost()))
    }

    /// The user that other regions' links connect as, where fedctl does not make one for each of them.
    #[must_use]
    pub fn shared_link_user(&self) -> Option<&LinkUser> {
        self.broker.as_ref()?.link_user.as_ref()
    }
}

impl Topology {
    /// Where the passwords of users are that exist already on brokers that fedctl did not start.
    #[must_use]
    pub fn given_passwords(&self) -> Vec<(PasswordId, PasswordSource<'_>)> {
        let id =
            |region: &Region, user: &str| PasswordId { region: region.name.clone(), user: user.to_owned() };
        let brokers = self.regions.iter().filter_map(|region| Some((region, region.broker.as_ref()?)));
        let given = brokers.flat_map(|(region, broker)| {
            let own = (
                id(region, &broker.user),
                source(broker.password.as_deref(), broker.password_file.as_deref()),
            );
            let links = broker.link_user.as_ref().map(|user| {
                (id(region, &user.name), source(user.password.as_deref(), user.password_file.as_deref()))
            });
            [own].into_iter().chain(links)
        });
        given.collect()
    }

    /// The global parameter in which a region's broker records what the project owns there. Several regions may be
    /// virtual hosts of one broker that fedctl did not start.
    #[must_use]
    pub fn ownership_parameter(&self, region: &Region) -> String {
        match region.broker {
            None => ownership_parameter(&self.name),
            Some(_) => ownership_parameter(&format!("{}.{}", self.name, region.name)),
        }
    }

    /// Whether any broker or service runs in a container, so that an engine is needed.
    #[must_use]
    pub fn has_containers(&self) -> bool {
        self.regions.iter().any(|region| region.broker.is_none())
    }

    /// The user as which the links of `downstream` connect to `upstream`. On a broker that fedctl did not start there may
    /// be other projects, and other regions as virtual hosts.
    #[must_use]
    pub fn link_user(&self, upstream: &Region, downstream: &RegionName) -> String {
        match (&upstream.broker, upstream.shared_link_user()) {
            (_, Some(shared)) => shared.name.clone(),
            (Some(_), None) => {
                format!("{}-{}-{downstream}", link_user(&RegionName::new(&self.name)), upstream.name)
            }
            (None, None) => link_user(downstream),
        }
    }
}
