//! Regions without any link.

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    topology::{Shape, Topology, findings::quoted},
};

pub(super) const LINT: Lint = Lint { codes: &[UNLINKED], check };

const UNLINKED: Code = Code::warning(
    "FED0220",
    "With the shape `pairs` a region has the links that `pairs` lists, and this one is in none of them: nothing reaches it \
     from other regions and nothing leaves it. Add a pair with it, or remove the region from the file.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let federation = &topology.federation;
    if federation.shape != Shape::Pairs || federation.pairs.is_empty() {
        return;
    }
    for (index, region) in topology.regions.iter().enumerate() {
        let name = &region.name;
        if !federation.pairs.iter().any(|pair| pair.upstream == *name || pair.downstream == *name) {
            let message = format!("{} is in no pair of `federation`", quoted(name.as_str()));
            let help = format!("add `{{upstream: REGION, downstream: {name}}}` to `pairs`");
            places.add(UNLINKED, &format!("regions/{index}/name"), message, help);
        }
    }
}
