//! Readiness checks that cannot succeed.

use super::{Lint, Places, services};
use crate::{
    diagnostic::Code,
    topology::{Topology, findings::quoted},
};

pub(super) const LINT: Lint = Lint { codes: &[UNPUBLISHED_READINESS, INVALID_PATH], check };

const UNPUBLISHED_READINESS: Code = Code::error(
    "FED0122",
    "fedctl checks a service's readiness from the host, so the port of the check has to be among \
     the service's published ones. Add it to `ports`; where `readiness` names no port, the first of \
     them is used.",
);
const INVALID_PATH: Code = Code::error(
    "FED0123",
    "The path of a readiness check is what follows the host and port in a URL, and starts with `/`. \
     Write `/healthz` rather than `healthz` or a whole URL.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    for (path, service) in services(topology) {
        let Some(readiness) = &service.readiness else { continue };
        if !readiness.http.starts_with('/') {
            places.add(
                INVALID_PATH,
                &format!("{path}/readiness/http"),
                format!("{} does not start with `/`", quoted(&readiness.http)),
                "give the path of the URL, such as `/healthz`",
            );
        }
        let name = quoted(&service.name);
        match service.readiness_check() {
            None => places.add(
                UNPUBLISHED_READINESS,
                &format!("{path}/readiness"),
                format!("{name} publishes no port, so its readiness cannot be checked"),
                "add the port that answers to `ports`",
            ),
            Some((_, port)) if !service.publishes(port) => {
                let published: Vec<String> =
                    service.ports.iter().map(|port| port.container.to_string()).collect();
                places.add(
                    UNPUBLISHED_READINESS,
                    &format!("{path}/readiness/port"),
                    format!("{name} does not publish port {port}"),
                    format!("add it to `ports`, or use one of those: {}", published.join(", ")),
                );
            }
            Some(_) => (),
        }
    }
}
