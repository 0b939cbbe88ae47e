//! Variables that a built-in service does not read.

use super::{Lint, Places, services};
use crate::{
    diagnostic::Code,
    topology::{
        Topology,
        findings::{quoted, suggestion},
    },
};

pub(super) const LINT: Lint = Lint { codes: &[UNKNOWN_VARIABLE], check };

const UNKNOWN_VARIABLE: Code = Code::warning(
    "FED0204",
    "The service is a built-in one and does not read this variable, so its value has \
     no effect. Correct the name, or remove it; `fedctl schema` lists what each service reads.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let catalogue = places.catalogue;
    let reserved = catalogue.variables.all();
    for (path, service) in services(topology).filter(|(_, service)| service.image.is_none()) {
        let Some(program) = catalogue.program(&service.name) else { continue };
        let unread = |name: &&String| {
            !reserved.contains(&name.as_str()) && !program.variables.contains(&name.as_str())
        };
        for variable in service.environment.keys().filter(unread) {
            let help = match program.variables {
                [] => "remove it; this service reads no variables".to_owned(),
                known => suggestion(variable, known.iter().copied(), "it reads"),
            };
            places.add_at_key(
                UNKNOWN_VARIABLE,
                &format!("{path}/environment/{variable}"),
                format!("{} does not read {}", quoted(&service.name), quoted(variable)),
                help,
            );
        }
    }
}
