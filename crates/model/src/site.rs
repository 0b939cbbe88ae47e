//! Where a region's broker is and how it is reached: nothing else spells an address, a port, a scheme, a virtual host
//! or the administrator's name.

mod codes;

use std::{collections::BTreeMap, fmt};

pub(crate) use codes::{ALL as CODES, UNREACHABLE};

use crate::{
    desired::{PasswordId, Passwords},
    diagnostic::{Code, Diagnostic, Place},
    names::{BROKER, container},
    observed::{ContainerState, EngineState, Plugin},
    secret::Secret,
    topology::{RegionName, Topology},
};

/// The address on which everything is published.
pub const LOOPBACK: &str = "127.0.0.1";
/// AMQP's port in a broker's container.
pub const AMQP_PORT: u16 = 5672;
/// The management API's port in a broker's container.
pub const MANAGEMENT_PORT: u16 = 15672;
/// The virtual host that everything lives in.
pub const VHOST: &str = "/";
/// fedctl's own administrator on every broker that it starts.
pub const ADMINISTRATOR: &str = "fedctl";
/// An AMQP URI at which nothing listens.
pub const NOWHERE: &str = "amqp://localhost:1";

/// Where a region's broker is, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pub region: RegionName,
    /// The management API, as reached from here.
    pub management: Address,
    /// The AMQP listener, as reached from here.
    pub amqp: Address,
    /// The port on which the broker itself listens for AMQP, by which its health check knows the listener.
    pub listener: u16,
    pub vhost: String,
    pub user: String,
    /// None where fedctl does not know it.
    pub password: Option<Secret>,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    /// A port published on the host's loopback address.
    #[must_use]
    pub fn published(port: u16) -> Self {
        Self { host: LOOPBACK.into(), port }
    }

    /// What answers HTTP there.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{self}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why a broker could not be asked, or gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unavailable {
    /// It has no container.
    Missing,
    /// Its container does not run; the engine's words for its state.
    Stopped(String),
    /// Its container is paused.
    Paused,
    /// Its container runs and a port is not published.
    NotPublished(u16),
    /// fedctl has no password for it.
    NoPassword,
    /// It is up and rejects fedctl's password.
    Unauthorized,
    /// It does not answer.
    Unreachable(String),
    /// It speaks AMQP, and its management API does not answer, or not in a form that fedctl knows.
    Unresponsive(String),
    /// Its ports cannot be reached from here, whether or not it works.
    OutOfReach(String),
    /// It speaks AMQP, and lacks a plugin without which it cannot be asked.
    PluginDisabled(Plugin),
}

impl Unavailable {
    /// The code by which `fedctl explain` explains it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Missing => codes::MISSING,
            Self::Stopped(_) => codes::STOPPED,
            Self::Paused => codes::PAUSED,
            Self::NotPublished(_) => codes::NOT_PUBLISHED,
            Self::NoPassword => codes::NO_PASSWORD,
            Self::Unauthorized => codes::UNAUTHORIZED,
            Self::Unreachable(_) => codes::UNREACHABLE,
            Self::Unresponsive(_) => codes::UNRESPONSIVE,
            Self::OutOfReach(_) => codes::OUT_OF_REACH,
            Self::PluginDisabled(_) => codes::PLUGIN_DISABLED,
        }
    }

    /// Whether nothing can come from or go to the broker. One that only cannot be asked may well work.
    #[must_use]
    pub fn is_down(&self) -> bool {
        match self {
            Self::Missing | Self::Stopped(_) | Self::Paused | Self::Unreachable(_) => true,
            Self::NotPublished(_)
            | Self::NoPassword
            | Self::Unauthorized
            | Self::Unresponsive(_)
            | Self::OutOfReach(_)
            | Self::PluginDisabled(_) => false,
        }
    }

    /// What is wrong with the broker of this region.
    #[must_use]
    pub fn diagnostic(&self, region: &RegionName) -> Diagnostic {
        Diagnostic::new(self.code(), Place::Broker { region: region.clone() }, self.to_string())
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the broker has no container: `fedctl up` creates it"),
            Self::Stopped(status) => {
                write!(f, "the broker's container is not running ({status}): `fedctl up` starts it")
            }
            Self::Paused => f.write_str("the broker's container is paused: `fedctl up` unpauses it"),
            Self::NotPublished(port) => write!(f, "port {port} is not published"),
            Self::NoPassword => f.write_str("fedctl has no password for it: `fedctl up` generates new ones"),
            Self::Unauthorized => {
                f.write_str("the broker rejects fedctl's password: `fedctl up` restores it")
            }
            Self::Unreachable(reason) | Self::OutOfReach(reason) => f.write_str(reason),
            Self::Unresponsive(reason) => {
                write!(f, "the broker is up, but its management API does not answer as it should: {reason}")
            }
            Self::PluginDisabled(plugin) => {
                write!(f, "plugin `{}` is not enabled: `fedctl up` enables it", plugin.name())
            }
        }
    }
}

/// The brokers of a project, wherever they are at the moment.
#[derive(Debug, Clone)]
pub struct Inventory(BTreeMap<RegionName, Entry>);

/// What is known of a broker before anything is looked at.
#[derive(Debug, Clone)]
struct Entry {
    container: String,
    password: Option<Secret>,
}

impl Inventory {
    /// The brokers that a topology names.
    #[must_use]
    pub fn of(topology: &Topology, passwords: &Passwords) -> Self {
        let entries = topology.regions.iter().map(|region| {
            let id = PasswordId { region: region.name.clone(), user: ADMINISTRATOR.into() };
            let entry = Entry {
                container: container(&topology.name, &region.name, BROKER),
                password: passwords.get(&id).cloned(),
            };
            (region.name.clone(), entry)
        });
        Self(entries.collect())
    }

    /// Only those of these regions.
    #[must_use]
    pub fn only(mut self, regions: &[RegionName]) -> Self {
        self.0.retain(|region, _| regions.contains(region));
        self
    }

    /// Where each broker is, by what its engine has.
    #[must_use]
    pub fn sites(&self, engine: &EngineState) -> BTreeMap<RegionName, Result<Site, Unavailable>> {
        self.0.iter().map(|(region, entry)| (region.clone(), entry.site(region, engine))).collect()
    }

    /// Where the broker of `region` is, by the ports that its container publishes.
    ///
    /// # Errors
    ///
    /// If the topology has no such region, or the container does not publish what is needed.
    pub fn published(&self, region: &RegionName, ports: &BTreeMap<u16, u16>) -> Result<Site, Unavailable> {
        self.0.get(region).ok_or(Unavailable::Missing)?.published(region, ports)
    }
}

impl Entry {
    fn site(&self, region: &RegionName, engine: &EngineState) -> Result<Site, Unavailable> {
        let found = engine.container(&self.container).ok_or(Unavailable::Missing)?;
        match found.state {
            ContainerState::Running => self.published(region, &found.ports),
            ContainerState::Paused => Err(Unavailable::Paused),
            ContainerState::Created | ContainerState::Restarting | ContainerState::Stopped => {
                Err(Unavailable::Stopped(found.status.clone()))
            }
        }
    }

    fn published(&self, region: &RegionName, ports: &BTreeMap<u16, u16>) -> Result<Site, Unavailable> {
        let address = |port: u16| {
            ports.get(&port).copied().map(Address::published).ok_or(Unavailable::NotPublished(port))
        };
        Ok(Site {
            region: region.clone(),
            management: address(MANAGEMENT_PORT)?,
            amqp: address(AMQP_PORT)?,
            listener: AMQP_PORT,
            vhost: VHOST.into(),
            user: ADMINISTRATOR.into(),
            password: self.password.clone(),
        })
    }
}

/// The URI by which `user` reaches the broker that is called `host` on a network of its containers. `parameters`
/// are the URI's query, empty for none.
#[must_use]
pub fn amqp_uri(user: &str, password: &Secret, host: &str, parameters: &str) -> Secret {
    let vhost = VHOST.replace('/', "%2F");
    let query = if parameters.is_empty() { String::new() } else { format!("?{parameters}") };
    Secret::new(format!("amqp://{user}:{}@{host}:{AMQP_PORT}/{vhost}{query}", password.expose()))
}

/// An AMQP URI as it may be shown: without user and password.
#[must_use]
pub fn without_user(uri: &Secret) -> String {
    let uri = uri.expose();
    match (uri.find("://"), uri.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &uri[..scheme + 3], &uri[at + 1..]),
        _ => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_shown_without_its_user() {
        let uri = amqp_uri("link-asia", &Secret::new("p@ss:word"), "europe", "heartbeat=5");
        assert_eq!(uri.expose(), "amqp://link-asia:p@ss:word@europe:5672/%2F?heartbeat=5");
        assert_eq!(without_user(&uri), "amqp://europe:5672/%2F?heartbeat=5");
    }
}
