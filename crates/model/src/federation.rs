//! The names that RabbitMQ gives to the queues and exchanges that links keep on the upstream.
//!
//! For an exchange of the same name and virtual host on both sides there is the queue `federation: EXCHANGE ->
//! DOWNSTREAM`, in which messages wait, and one of two exchanges by which it is bound: its name with ` A` or ` B`
//! (`rabbit_federation_exchange_link.erl`, `upstream_queue_name`).

use crate::topology::RegionName;

const PREFIX: &str = "federation: ";
const ARROW: &str = " -> ";
const EXCHANGE_SUFFIXES: [&str; 2] = [" A", " B"];

/// The keys of an upstream with which a link declares its internal queue, and the queue's argument for each.
pub(crate) const DECLARED: [(&str, &str); 3] =
    [("expires", "x-expires"), ("message-ttl", "x-message-ttl"), ("queue-type", "x-queue-type")];

/// The queue on an upstream in which an exchange's messages wait for a downstream.
#[must_use]
pub fn internal_queue(exchange: &str, downstream: &RegionName) -> String {
    format!("{PREFIX}{exchange}{ARROW}{downstream}")
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
    /// Its downstream.
    pub downstream: &'n str,
}

/// What an internal queue is for.
#[must_use]
pub fn of_queue(queue: &str) -> Option<Internal<'_>> {
    let (exchange, downstream) = queue.strip_prefix(PREFIX)?.rsplit_once(ARROW)?;
    Some(Internal { exchange, downstream })
}

/// What an internal exchange is for.
#[must_use]
pub fn of_exchange(exchange: &str) -> Option<Internal<'_>> {
    EXCHANGE_SUFFIXES.iter().find_map(|suffix| of_queue(exchange.strip_suffix(suffix)?))
}

/// A pattern of permissions for the internal queues and exchanges of one downstream.
#[must_use]
pub(crate) fn internal_names_of(downstream: &RegionName) -> String {
    format!("^{PREFIX}.+{ARROW}{downstream}( [AB])?$")
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
        let asia = RegionName::new("asia");
        for exchange in ["orders.events", "odd -> name", ""] {
            let internal = Some(Internal { exchange, downstream: "asia" });
            let queue = internal_queue(exchange, &asia);
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
