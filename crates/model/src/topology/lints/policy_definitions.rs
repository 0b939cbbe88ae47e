//! Keys of policies that fedctl sets itself.

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    topology::{Topology, findings::quoted},
};

pub(super) const LINT: Lint = Lint { codes: &[RESERVED_KEY], check };

const RESERVED_KEY: Code = Code::error(
    "FED0140",
    "A policy of the topology federates what it matches: fedctl gives it the upstreams that the shape asks for. `definition` \
     is for the other keys of RabbitMQ that the exchanges or queues need, such as `max-length` or `alternate-exchange`, since \
     one policy alone applies to each. Remove the key; `federation.shape` and `pairs` say who is upstream of whom.",
);

/// How the keys begin by which a policy federates.
const FEDERATION: &str = "federation-upstream";

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    for (index, policy) in topology.federation.policies.iter().enumerate() {
        for key in policy.definition.keys().filter(|key| key.starts_with(FEDERATION)) {
            places.add_at_key(
                RESERVED_KEY,
                &format!("federation/policies/{index}/definition/{key}"),
                format!("fedctl itself sets {}", quoted(key)),
                "remove it; `shape` of `federation` says which regions are linked",
            );
        }
    }
}
