//! Environment variables that fedctl uses itself.

use super::{Lint, Places, services};
use crate::{
    diagnostic::Code,
    topology::{
        Topology,
        findings::{listed, quoted},
    },
};

pub(super) const LINT: Lint = Lint { codes: &[RESERVED_VARIABLE], check };

const RESERVED_VARIABLE: Code = Code::error(
    "FED0119",
    "fedctl sets this variable in the services' environment, or built-in services read it, so a \
     value from the file would be overwritten or would mislead the service. Remove it, or give yours \
     another name.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let reserved = places.catalogue.variables.all();
    for (path, service) in services(topology) {
        for variable in service.environment.keys().filter(|name| reserved.contains(&name.as_str())) {
            places.add_at_key(
                RESERVED_VARIABLE,
                &format!("{path}/environment/{variable}"),
                format!("fedctl itself uses {}", quoted(variable)),
                format!("give it another name; fedctl uses {}", listed(reserved)),
            );
        }
    }
}
