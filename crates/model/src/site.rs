//! Where a region's broker is and how it is reached: nothing else spells an address, a port, a scheme, a virtual host
//! or the administrator's name.

mod codes;
mod inventory;
mod uri;

use std::{fmt, net::IpAddr};

pub(crate) use codes::{ALL as CODES, UNREACHABLE};
pub use inventory::Inventory;
pub use uri::AmqpUri;
pub(crate) use uri::{CONNECTION_TIMEOUT, Settled, decoded, is_usual};

use crate::{
    diagnostic::{Code, Diagnostic, Place},
    observed::Plugin,
    secret::Secret,
    topology::RegionName,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

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
/// The schemes of the management API, and the ports that they stand for.
pub const HTTP: [(&str, u16); 2] = [("http", 80), ("https", 443)];
/// The same of AMQP.
pub const AMQP: [(&str, u16); 2] = [("amqp", AMQP_PORT), ("amqps", 5671)];
/// The URI by which a broker reaches itself.
pub const ITSELF: &str = "amqp://";
/// An AMQP URI at which nothing listens.
pub const NOWHERE: &str = "amqp://localhost:1";

/// Where a region's broker is, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pub region: RegionName,
    /// The management API, as reached from here.
    pub management: Address,
    /// What a reverse proxy adds to the paths of the management API; empty for most.
    pub prefix: String,
    /// The AMQP listener, as reached from here.
    pub amqp: Address,
    /// The port on which the broker itself listens for AMQP, by which its health check knows the listener; none for a
    /// broker that fedctl did not start.
    pub listener: Option<u16>,
    /// The file of the certificates that its own is to be signed by; those that the system trusts if none is given.
    pub ca_file: Option<String>,
    pub vhost: String,
    /// The global parameter in which it is recorded what the project owns there.
    pub parameter: String,
    pub user: String,
    /// None where fedctl does not know it.
    pub password: Option<Secret>,
}

impl Site {
    /// Where the management API begins.
    #[must_use]
    pub fn api(&self) -> String {
        format!("{}{}/api", self.management.url(), self.prefix)
    }

    /// Whether the broker is in a container that fedctl started.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.listener.is_some()
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
    /// Whether what is said there is encrypted.
    pub tls: bool,
}

impl Address {
    /// A port published on the host's loopback address.
    #[must_use]
    pub fn published(port: u16) -> Self {
        Self { host: LOOPBACK.into(), port, tls: false }
    }

    /// The address in a URL of one of these schemes, of which the second one encrypts, and the path after it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words that follow those for the URL.
    pub fn parse(url: &str, [plain, encrypted]: [(&str, u16); 2]) -> Result<(Self, String), String> {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        let (scheme, tls) = match parsed.scheme() {
            scheme if scheme == plain.0 => (plain, false),
            scheme if scheme == encrypted.0 => (encrypted, true),
            other => return Err(format!("`{other}` is neither `{}` nor `{}`", plain.0, encrypted.0)),
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err("user and password have keys of their own".into());
        }
        if parsed.query().or(parsed.fragment()).is_some() {
            return Err("nothing may follow the path".into());
        }
        let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or("it has no host")?;
        let port = parsed.port().unwrap_or(scheme.1);
        Ok((Self { host: host.to_owned(), port, tls }, parsed.path().trim_end_matches('/').to_owned()))
    }

    /// Whether it is of this machine, so that nothing crosses a network.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// What answers HTTP there.
    #[must_use]
    pub fn url(&self) -> String {
        let [(plain, _), (encrypted, _)] = HTTP;
        format!("{}://{self}", if self.tls { encrypted } else { plain })
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
    /// fedctl did not start it, and was not given the password of this user.
    NoCredentials(String),
    /// fedctl did not start it, and it rejects this user, or the password.
    Rejected(String),
    /// It has no such virtual host yet.
    NoVhost(String),
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
            Self::NoCredentials(_) => codes::NO_CREDENTIALS,
            Self::Rejected(_) => codes::REJECTED,
            Self::NoVhost(_) => codes::NO_VHOST,
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
            | Self::PluginDisabled(_)
            | Self::NoCredentials(_)
            | Self::Rejected(_)
            | Self::NoVhost(_) => false,
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
                write!(
                    f,
                    "plugin `{name}` is not enabled: rabbitmq-plugins enable {name}",
                    name = plugin.name()
                )
            }
            Self::NoCredentials(user) => {
                write!(
                    f,
                    "no password of `{user}` is given: set `password` or `password-file` of its `broker`"
                )
            }
            Self::Rejected(user) => {
                write!(
                    f,
                    "the broker rejects user `{user}`: its password is another, or it lacks the tag `monitoring`"
                )
            }
            Self::NoVhost(vhost) => {
                write!(f, "it has no virtual host `{vhost}`: `fedctl up` creates it")
            }
        }
    }
}

/// The URI by which `user` reaches a virtual host of the broker at `origin`, which is a scheme, a host and a port, or only
/// the scheme for the same broker. The password is as URIs spell it; `parameters` are the URI's query, empty for none.
#[must_use]
pub fn amqp_uri(user: &str, password: &Secret, origin: &str, vhost: &str, parameters: &str) -> Secret {
    let ([user, vhost], password) = ([user, vhost].map(encoded), password.expose());
    let query = if parameters.is_empty() { String::new() } else { format!("?{parameters}") };
    let (scheme, host) = origin.split_once("//").unwrap_or(("", origin));
    let host = host.trim_end_matches('/');
    Secret::new(if host.is_empty() {
        format!("{scheme}///{vhost}{query}")
    } else {
        format!("{scheme}//{user}:{password}@{host}/{vhost}{query}")
    })
}

/// The origin of a broker that is called `host` on a network of its containers.
#[must_use]
pub fn origin_on_network(host: &str) -> String {
    let [(plain, _), _] = AMQP;
    format!("{plain}://{host}:{AMQP_PORT}")
}

/// What a part of a URI may hold as it is (RFC 3986, section 2.3, unreserved characters).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A part of a URI, with what has a meaning there escaped.
#[must_use]
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// A text as it may be shown: without user and password of any URI in it.
#[must_use]
pub fn without_users(text: &str) -> String {
    let mut parts = text.split("//");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let authority =
            part.find(|end: char| "/?#\"'".contains(end) || end.is_whitespace()).unwrap_or(part.len());
        let host = part[..authority].rfind('@').map_or(0, |at| at + 1);
        shown.push_str("//");
        shown.push_str(&part[host..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_shown_without_its_user() {
        let origin = origin_on_network("europe");
        let uri = amqp_uri("link-asia", &Secret::new(encoded("p@ss:word")), &origin, "/", "heartbeat=5");
        assert_eq!(uri.expose(), "amqp://link-asia:p%40ss%3Aword@europe:5672/%2F?heartbeat=5");
        assert_eq!(without_users(uri.expose()), "amqp://europe:5672/%2F?heartbeat=5");
        let refusal = format!("\"{}\" and \"//u:p@host\" not valid: {{a@b}}", uri.expose());
        let shown = "\"amqp://europe:5672/%2F?heartbeat=5\" and \"//host\" not valid: {a@b}";
        assert_eq!(without_users(&refusal), shown);
        let itself = amqp_uri("link", &Secret::new("password"), ITSELF, "a/b", "heartbeat=5");
        assert_eq!(itself.expose(), "amqp:///a%2Fb?heartbeat=5");
    }
}
