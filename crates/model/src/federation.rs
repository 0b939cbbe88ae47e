//! The names that RabbitMQ gives to the queues and exchanges that links keep on the upstream.
//!
//! For an exchange of the same name and virtual host on both sides there is the queue `federation: EXCHANGE ->
//! DOWNSTREAM`, in which messages wait, and one of two exchanges by which it is bound: its name with ` A` or ` B`
//! (`rabbit_federation_exchange_link.erl`, `upstream_queue_name`).

use crate::topology::RegionName;

const PREFIX: &str = "federation: ";
const ARROW: &str = " -> ";
const EXCHANGE_SUFFIXES: [&str; 2] = [" A", " B"];

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

/// The downstream for which an internal queue keeps messages.
#[must_use]
pub fn downstream_of_queue(queue: &str) -> Option<&str> {
    let (_, downstream) = queue.strip_prefix(PREFIX)?.rsplit_once(ARROW)?;
    Some(downstream)
}

/// The downstream of an internal exchange.
#[must_use]
pub fn downstream_of_exchange(exchange: &str) -> Option<&str> {
    let queue = EXCHANGE_SUFFIXES.iter().find_map(|suffix| exchange.strip_suffix(suffix))?;
    downstream_of_queue(queue)
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
            let queue = internal_queue(exchange, &asia);
            assert_eq!(downstream_of_queue(&queue), Some("asia"));
            assert_eq!(downstream_of_exchange(&queue), None, "it is a queue's name");
            for name in internal_exchanges(&queue) {
                assert!(is_internal(&name));
                assert_eq!(downstream_of_exchange(&name), Some("asia"));
                assert_ne!(downstream_of_queue(&name), Some("asia"), "it is an exchange's name");
            }
        }
        for other in ["orders.events", "orders -> asia", "federation: orders"] {
            assert_eq!((downstream_of_queue(other), downstream_of_exchange(other)), (None, None));
        }
    }
}
