//! The names that RabbitMQ gives to the queues and exchanges that links keep on the upstream.
//!
//! For an exchange of the same name and virtual host on both sides there is the queue `federation: EXCHANGE ->
//! CLUSTER`, in which messages wait, and one of two exchanges by which it is bound: its name with ` A` or ` B`. Where the
//! virtual hosts differ, it is `federation: EXCHANGE -> CLUSTER:VHOST:EXCHANGE`
//! (`rabbit_federation_exchange_link.erl`, `upstream_queue_name`).

use std::fmt;

const PREFIX: &str = "federation: ";
const ARROW: &str = " -> ";
const SEPARATOR: char = ':';
const EXCHANGE_SUFFIXES: [&str; 2] = [" A", " B"];

/// A downstream as its upstream names it: by its cluster, and by its virtual host where that is not the upstream's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Downstream {
    cluster: String,
    vhost: Option<String>,
}

impl Downstream {
    /// `vhost` is none where both have the same.
    #[must_use]
    pub fn new(cluster: &str, vhost: Option<&str>) -> Self {
        Self { cluster: cluster.to_owned(), vhost: vhost.map(str::to_owned) }
    }
}

impl fmt::Display for Downstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cluster)?;
        self.vhost.as_ref().map_or(Ok(()), |vhost| write!(f, "{SEPARATOR}{vhost}"))
    }
}
/// The keys of an upstream with which a link declares its internal queue, and the queue's argument for each.
pub(crate) const DECLARED: [(&str, &str); 3] =
    [("expires", "x-expires"), ("message-ttl", "x-message-ttl"), ("queue-type", "x-queue-type")];

/// The queue on an upstream in which an exchange's messages wait for a downstream.
#[must_use]
pub fn internal_queue(exchange: &str, downstream: &Downstream) -> String {
    let queue = format!("{PREFIX}{exchange}{ARROW}{downstream}");
    if downstream.vhost.is_some() { format!("{queue}{SEPARATOR}{exchange}") } else { queue }
}

/// The exchanges of which one is bound to an internal queue.
#[must_use]
pub fn internal_exchanges(queue: &str) -> [String; 2] {
    EXCHANGE_SUFFIXES.map(|suffix| format!("{queue}{suffix}"))
}

/// Whether it is the name of such a queue or exchange. Nothing else may begin like that.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// What an internal queue or exchange is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Internal<'n> {
    /// The federated exchange.
    pub exchange: &'n str,
    /// Its downstream, as [`Downstream`] is shown.
    pub downstream: &'n str,
}

/// What an internal queue is for.
#[must_use]
pub fn of_queue(queue: &str) -> Option<Internal<'_>> {
    let name = queue.strip_prefix(PREFIX)?;
    let of_other_vhost = name.match_indices(ARROW).find_map(|(arrow, _)| {
        let (exchange, rest) = (&name[..arrow], &name[arrow + ARROW.len()..]);
        let downstream = rest.strip_suffix(exchange)?.strip_suffix(SEPARATOR)?;
        downstream.contains(SEPARATOR).then_some(Internal { exchange, downstream })
    });
    of_other_vhost.or_else(|| {
        let (exchange, downstream) = name.rsplit_once(ARROW)?;
        Some(Internal { exchange, downstream })
    })
}

/// What an internal exchange is for.
#[must_use]
pub fn of_exchange(exchange: &str) -> Option<Internal<'_>> {
    EXCHANGE_SUFFIXES.iter().find_map(|suffix| of_queue(exchange.strip_suffix(suffix)?))
}

/// A pattern of permissions for the internal queues and exchanges of one downstream.
#[must_use]
pub(crate) fn internal_names_of(downstream: &Downstream) -> String {
    let exchange = if downstream.vhost.is_some() { format!("{SEPARATOR}.+") } else { String::new() };
    format!("^{PREFIX}.+{ARROW}{}{exchange}( [AB])?$", regex_syntax::escape(&downstream.to_string()))
}

/// A pattern of permissions for everything that is not internal.
#[must_use]
pub(crate) fn all_but_internal_names() -> String {
    format!("^(?!{PREFIX})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_name_leads_back_to_its_downstream() {
        for (exchange, vhost, downstream) in [
            ("orders.events", None, "asia"),
            ("odd -> name", None, "asia"),
            ("", None, "asia"),
            ("orders.events", Some("/"), "asia:/"),
            ("odd -> name", Some("a:b"), "asia:a:b"),
        ] {
            let internal = Some(Internal { exchange, downstream });
            let queue = internal_queue(exchange, &Downstream::new("asia", vhost));
            assert_eq!(of_queue(&queue), internal);
            assert_eq!(of_exchange(&queue), None, "it is a queue's name");
            for name in internal_exchanges(&queue) {
                assert!(is_internal(&name));
                assert_eq!(of_exchange(&name), internal);
                assert_ne!(of_queue(&name), internal, "it is an exchange's name");
            }
        }
        for other in ["orders.events", "orders -> asia", "federation: orders"] {
            assert_eq!((of_queue(other), of_exchange(other)), (None, None));
        }
    }
}
