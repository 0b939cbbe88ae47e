//! Duplicates that are allowed where there are none.

use super::{Lint, Places};
use crate::{diagnostic::Code, topology::Topology};

pub(super) const LINT: Lint = Lint { codes: &[ALLOWED_IN_VAIN], check };

const ALLOWED_IN_VAIN: Code = Code::warning(
    "FED0221",
    "With this shape and these hops every message reaches a region once, so `allow-duplicates` allows nothing now. It would \
     hide a later change of the shape or of `max-hops` by which messages arrive more than once. Remove it.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let is_set = topology.federation.allow_duplicates;
    if is_set && topology.copies().iter().all(|copies| copies.count == 1) {
        places.add_at_key(
            ALLOWED_IN_VAIN,
            "federation/allow-duplicates",
            "no message reaches a region more than once",
            "remove it, so that a later change that duplicates messages is found",
        );
    }
}
