//! `${instances:SERVICE}` of a service that no region has.

use super::{Lint, Places, services};
use crate::{
    diagnostic::Code,
    topology::{
        Topology,
        findings::{quoted, suggestion},
        instances,
    },
};

pub(super) const LINT: Lint = Lint { codes: &[UNKNOWN_INSTANCES], check };

const UNKNOWN_INSTANCES: Code = Code::error(
    "FED0124",
    "`${instances:SERVICE}` in a variable's value stands for every instance of that service, in all \
     regions. No region has a service of this name, so the value would be empty. Correct the name, or \
     add the service.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let mut names: Vec<&str> = services(topology).map(|(_, service)| service.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for (path, service) in services(topology) {
        for (variable, value) in &service.environment {
            for named in instances::services(value).filter(|named| !names.contains(named)) {
                places.add(
                    UNKNOWN_INSTANCES,
                    &format!("{path}/environment/{variable}"),
                    format!("no region has a service {}", quoted(named)),
                    suggestion(named, names.iter().copied(), "the services are"),
                );
            }
        }
    }
}
