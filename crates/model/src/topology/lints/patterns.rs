//! Patterns of policies that cannot be checked, or that match federation's own queues and exchanges.

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    federation::{internal_exchanges, internal_queue},
    pattern::Pattern,
    topology::{Topology, findings::quoted},
};

pub(super) const LINT: Lint = Lint { codes: &[INVALID_PATTERN, INTERNAL_QUEUES], check };

const INVALID_PATTERN: Code = Code::error(
    "FED0117",
    "The policy's pattern is not a regular expression, or it uses look-around or back-references, \
     which fedctl does not support. RabbitMQ would refuse it or match names that it should not. \
     Correct it; anchors (`^`, `$`), classes and alternatives are enough for names.",
);
const INTERNAL_QUEUES: Code = Code::error(
    "FED0118",
    "RabbitMQ keeps the messages on their way to another region in queues and exchanges of its \
     own, called `federation: EXCHANGE -> REGION`. This pattern matches them too, and a policy \
     that applies to them makes links lose or duplicate messages. Anchor the pattern at something \
     only your own names have: a prefix such as `^orders\\.` or a suffix such as `\\.events$`.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    for (index, policy) in topology.federation.policies.iter().enumerate() {
        let path = format!("federation/policies/{index}/pattern");
        let shown = quoted(&policy.pattern);
        match Pattern::new(&policy.pattern) {
            Err(reason) => places.add(
                INVALID_PATTERN,
                &path,
                format!("{shown} is not a regular expression fedctl supports: {reason}"),
                r"match names with anchors, classes and alternatives, such as `^(orders|stock)\.`",
            ),
            Ok(pattern) => {
                if let Some(name) = internal_names(topology).find(|name| pattern.matches(name)) {
                    places.add(
                        INTERNAL_QUEUES,
                        &path,
                        format!("{shown} also matches {}, one of RabbitMQ's own names", quoted(&name)),
                        r"anchor it at a prefix or suffix of your own names, such as `^orders\.` or `\.events$`",
                    );
                }
            }
        }
    }
}

/// What an exchange may be called.
const EXCHANGE: &str = "orders.events";

/// Names as RabbitMQ gives them to the queues and exchanges that federation keeps on the upstream.
///
/// Which exchanges there will be is not known; each pattern read as a name represents those
/// that it matches, and [`EXCHANGE`] for any.
pub(super) fn internal_names(topology: &Topology) -> impl Iterator<Item = String> {
    let policies = topology.federation.policies.iter();
    let exchanges = policies.map(|policy| policy.pattern.replace(['^', '$', '\\'], ""));
    let exchanges = [EXCHANGE.to_owned()].into_iter().chain(exchanges);
    exchanges.flat_map(|exchange| {
        topology.regions.iter().flat_map(move |region| {
            let queue = internal_queue(&exchange, &region.as_downstream_of(region));
            let exchanges = internal_exchanges(&queue);
            [queue].into_iter().chain(exchanges)
        })
    })
}
