//! Services without an image that fedctl does not bring.

use super::{Lint, Places, services};
use crate::{
    diagnostic::Code,
    topology::{
        Topology,
        findings::{quoted, suggestion},
    },
};

pub(super) const LINT: Lint = Lint { codes: &[UNKNOWN_SERVICE], check };

const UNKNOWN_SERVICE: Code = Code::error(
    "FED0115",
    "A service without an `image` is a built-in one, and no built-in service has this \
     name. Correct the name, or give the service an `image`.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let catalogue = places.catalogue;
    for (path, service) in services(topology) {
        if service.image.is_none() && catalogue.program(&service.name).is_none() {
            let programs = catalogue.programs.iter().map(|program| program.name);
            let help = suggestion(&service.name, programs, "the built-in services are");
            places.add(
                UNKNOWN_SERVICE,
                &format!("{path}/name"),
                format!("{} has no image and is not a built-in service", quoted(&service.name)),
                format!("a service of your own needs an `image`; {help}"),
            );
        }
    }
}
