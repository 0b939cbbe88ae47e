//! AMQP URIs, as upstreams have them (RabbitMQ, "URI Query Parameters" and `amqp_uri.erl`).

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::AMQP;
use crate::secret::Secret;

/// The heartbeat of a connection whose URI gives none, in seconds (RabbitMQ, `amqp_params_network`).
pub(crate) const HEARTBEAT: &str = "10";
/// Milliseconds that fedctl gives a link to connect. An upstream of others that does not say how long is as good: it is not
/// worth a restart of its links.
pub(crate) const CONNECTION_TIMEOUT: &str = "5000";

/// An AMQP URI without its password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AmqpUri {
    /// Whether it is `amqps`.
    pub encrypted: bool,
    /// The user; none where the URI names none, which RabbitMQ takes for `guest`.
    pub user: Option<String>,
    /// The host; none for another virtual host of the same broker.
    pub host: Option<String>,
    pub port: Option<u16>,
    /// As it is written; none where the URI names none.
    pub vhost: Option<String>,
    /// The query, as it is written.
    pub parameters: BTreeMap<String, String>,
}

impl AmqpUri {
    /// Reads a URI; none if it is no AMQP URI.
    #[must_use]
    pub fn parse(uri: &Secret) -> Option<Self> {
        let (scheme, rest) = uri.expose().split_once("://")?;
        let encrypted = match scheme {
            "amqp" => false,
            "amqps" => true,
            _ => return None,
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // a password may hold a slash that was not encoded, and a host none
        let (user, rest) =
            rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (user.split(':').next(), rest));
        let (address, vhost) = rest.split_once('/').map_or((rest, None), |(at, vhost)| (at, Some(vhost)));
        // the colons of an IPv6 address are in brackets
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
            Some(_) | None => (address, None),
        };
        let parameters = query.split('&').filter_map(|pair| pair.split_once('='));
        Some(Self {
            encrypted,
            user: user.map(str::to_owned),
            host: (!host.is_empty()).then(|| host.trim_matches(['[', ']']).to_owned()),
            port,
            vhost: vhost.map(str::to_owned),
            parameters: parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        })
    }

    /// The host and the port, with the scheme's own where the URI gives none; none for the same broker.
    #[must_use]
    pub fn address(&self) -> Option<(&str, u16)> {
        let [plain, encrypted] = AMQP;
        let (_, usual) = if self.encrypted { encrypted } else { plain };
        Some((self.host.as_deref()?, self.port.unwrap_or(usual)))
    }

    /// The virtual host that it leads to: where it names none, the one of the downstream.
    #[must_use]
    pub fn vhost_for(&self, downstream: &str) -> String {
        self.vhost.as_deref().map_or_else(|| downstream.to_owned(), decoded)
    }

    /// Whether the connection leaves the machine.
    pub(crate) fn is_remote(&self) -> bool {
        let is_loopback = |host: &String| host == "localhost" || host == "::1" || host.starts_with("127.");
        self.host.as_ref().is_some_and(|host| !is_loopback(host))
    }
}

/// A URI by what it means to a link, however it is written: explicit defaults and escapes make no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Where it leads, with every default; without a user.
    pub target: AmqpUri,
    /// User and password.
    pub credentials: Secret,
}

impl Settled {
    /// What the URI of an upstream in this virtual host means; none if it is no AMQP URI.
    pub fn of(uri: &Secret, vhost: &str) -> Option<Self> {
        let read = AmqpUri::parse(uri)?;
        let (host, port) = read.address().map_or((None, None), |(host, port)| (Some(host), Some(port)));
        let mut target = AmqpUri {
            encrypted: read.encrypted,
            user: None,
            host: host.map(str::to_lowercase),
            port,
            vhost: Some(read.vhost_for(vhost)),
            parameters: read.parameters.clone(),
        };
        if target.host.is_none() {
            // within a broker there is no connection to set up
            target.parameters.clear();
        } else {
            let usual = [("heartbeat", HEARTBEAT), ("connection_timeout", CONNECTION_TIMEOUT)];
            for (key, value) in usual {
                target.parameters.entry(key.into()).or_insert_with(|| value.into());
            }
        }
        let given = credentials(uri).map(|given| Secret::new(decoded(given)));
        let guest = || Secret::new(if target.host.is_some() { "guest:guest" } else { "" });
        Some(Self { credentials: given.unwrap_or_else(guest), target })
    }
}

/// Whether a parameter of a URI is among those that every upstream of fedctl's has.
pub(crate) fn is_usual(parameter: &str) -> bool {
    matches!(parameter, "heartbeat" | "connection_timeout")
}

/// User and password, as they are written.
fn credentials(uri: &Secret) -> Option<&str> {
    let (_, rest) = uri.expose().split_once("://")?;
    let (rest, _) = rest.split_once('?').unwrap_or((rest, ""));
    rest.rsplit_once('@').map(|(credentials, _)| credentials)
}

/// A part of a URI without its escapes.
pub(crate) fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_that_mean_the_same_are_the_same() {
        let settled = |uri: &str| Settled::of(&Secret::new(uri), "orders").unwrap();
        let full = "amqp://fed:p%40ss@Europe:5672/orders?heartbeat=10&connection_timeout=5000";
        for same in ["amqp://fed:p@ss@europe", "amqp://fed:p%40ss@europe/%6Frders?heartbeat=10"] {
            assert_eq!(settled(same), settled(full), "{same}");
        }
        assert_eq!(settled("amqp:///orders?heartbeat=5"), settled("amqp://"), "within one broker");
        assert_eq!(settled("amqp://europe"), settled("amqp://guest:guest@europe"));
        let other = [
            "amqp://fed:p%40ss@europe/%2F",
            "amqps://fed:p%40ss@europe",
            "amqp://fed:p%40ss@europe?heartbeat=5",
        ];
        for other in other {
            assert_ne!(settled(other).target, settled(full).target, "{other}");
        }
        assert_ne!(settled("amqp://fed:other@europe").credentials, settled(full).credentials);
        assert_eq!(Settled::of(&Secret::new("[\"amqp://a\",\"amqp://b\"]"), "/"), None);
    }

    fn parse(uri: &str) -> AmqpUri {
        AmqpUri::parse(&Secret::new(uri)).unwrap()
    }

    #[test]
    fn a_uri_is_read_in_all_its_forms() {
        let full = parse("amqps://link:p@ss/word@broker.example:5671/%2F?verify=verify_none&heartbeat=5");
        assert!(full.encrypted && full.is_remote());
        assert_eq!((full.user.as_deref(), full.host.as_deref()), (Some("link"), Some("broker.example")));
        assert_eq!((full.port, full.vhost.as_deref()), (Some(5671), Some("%2F")));
        assert_eq!(full.parameters["verify"], "verify_none");
        assert_eq!(full.parameters["heartbeat"], "5");
        assert_eq!(parse("amqp://europe"), AmqpUri { host: Some("europe".into()), ..AmqpUri::default() });
        assert_eq!(parse("amqp:///other").host, None, "another virtual host of the same broker");
        let local = parse("amqp://[::1]:5672");
        assert_eq!((local.host.as_deref(), local.port, local.is_remote()), (Some("::1"), Some(5672), false));
        for other in ["http://europe", "europe", ""] {
            assert_eq!(AmqpUri::parse(&Secret::new(other)), None, "{other}");
        }
    }
}
