//! AMQP URIs, as upstreams have them (RabbitMQ, "URI Query Parameters" and `amqp_uri.erl`).

use std::collections::BTreeMap;

use crate::secret::Secret;

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

    /// Whether the connection leaves the machine.
    pub(super) fn is_remote(&self) -> bool {
        let is_loopback = |host: &String| host == "localhost" || host == "::1" || host.starts_with("127.");
        self.host.as_ref().is_some_and(|host| !is_loopback(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
