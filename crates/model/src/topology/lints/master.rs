//! A master that is not one of the regions.

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    topology::{
        Topology,
        findings::{quoted, suggestion},
    },
};

pub(super) const LINT: Lint = Lint { codes: &[UNKNOWN_MASTER], check };

const UNKNOWN_MASTER: Code = Code::error(
    "FED0111",
    "`master` names the region that does the work only one region may do, and no region has \
     that name, so that work would never be done. Name one of the regions.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let master = topology.master.as_str();
    if topology.region(&topology.master).is_none() {
        let names = topology.regions.iter().map(|region| region.name.as_str());
        places.add(
            UNKNOWN_MASTER,
            "master",
            format!("there is no region {}", quoted(master)),
            suggestion(master, names, "the regions are"),
        );
    }
}
