//! Patterns that match what RabbitMQ itself names.

use super::{Lint, Places, patterns::internal_names};
use crate::{
    diagnostic::Code,
    pattern::Pattern,
    topology::{ApplyTo, Topology, findings::quoted},
};

pub(super) const LINT: Lint = Lint { codes: &[EXCHANGES, QUEUES], check };

const EXCHANGES: Code = Code::warning(
    "FED0216",
    "The pattern matches the exchanges that every broker has, `amq.direct`, `amq.fanout` and the others. Whatever any \
     application publishes to them then crosses to every region, which is seldom meant. Anchor the pattern at something \
     only your own names have, or name the one exchange that is meant, such as `^amq\\.topic$`.",
);
const QUEUES: Code = Code::warning(
    "FED0217",
    "The pattern matches queues that a broker named itself, `amq.gen-…`: reply queues and other short-lived ones of one \
     application. Each starts links with connections of their own to every upstream, where a queue of that name is declared \
     too, and connections can grow without bound (rabbitmq-server #14197). Anchor the pattern at something only your own names \
     have, such as `^fed\\.`.",
);

/// Exchanges that every broker has.
const BUILT_IN: [&str; 4] = ["amq.direct", "amq.fanout", "amq.headers", "amq.topic"];
/// As a broker names a queue that is declared without a name.
const GENERATED: &str = "amq.gen-JzTY20BRgKO-HjmUJj0wLg";

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    for (index, policy) in topology.federation.policies.iter().enumerate() {
        let Ok(pattern) = Pattern::new(&policy.pattern) else { continue };
        // one that matches what links use is an error, and the same mend helps against both
        if internal_names(topology).any(|name| pattern.matches(&name)) {
            continue;
        }
        let path = format!("federation/policies/{index}/pattern");
        let shown = quoted(&policy.pattern);
        match policy.apply_to {
            ApplyTo::Exchanges if BUILT_IN.iter().all(|name| pattern.matches(name)) => places.add(
                EXCHANGES,
                &path,
                format!("{shown} also matches every broker's own exchanges, such as `amq.fanout`"),
                r"anchor it at a prefix or suffix of your own names, such as `\.events$`",
            ),
            ApplyTo::Queues if pattern.matches(GENERATED) => places.add(
                QUEUES,
                &path,
                format!("{shown} also matches queues that a broker names itself, `amq.gen-…`"),
                r"anchor it at a prefix or suffix of your own names, such as `^fed\.`",
            ),
            ApplyTo::Exchanges | ApplyTo::Queues => {}
        }
    }
}
