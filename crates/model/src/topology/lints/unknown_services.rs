//! Services without an image that fedctl does not bring.

use super::{Lint, Places, services};
use crate::{
    diagnostic::Code,
    topology::{
        BUILT_IN_SERVICES, Topology,
        findings::{quoted, suggestion},
    },
};

pub(super) const LINT: Lint = Lint { codes: &[UNKNOWN_SERVICE], check };

const UNKNOWN_SERVICE: Code = Code::error(
    "FED0115",
    "A service without an `image` is one of fedctl's own programs, and there is none of this \
     name. Correct the name, or give the service an `image`.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let unknown = |name: &str| !BUILT_IN_SERVICES.contains(&name);
    for (path, service) in services(topology) {
        if service.image.is_none() && unknown(&service.name) {
            let help = suggestion(&service.name, BUILT_IN_SERVICES, "fedctl's own are");
            places.add(
                UNKNOWN_SERVICE,
                &format!("{path}/name"),
                format!("{} has no image and is none of fedctl's own programs", quoted(&service.name)),
                format!("another program needs an `image`; {help}"),
            );
        }
    }
}
