//! Passwords in the environment of containers.

use super::{Lint, Places, services};
use crate::{diagnostic::Code, topology::Topology};

pub(super) const LINT: Lint = Lint { codes: &[PASSWORD_EXPOSED], check };

const PASSWORD_EXPOSED: Code = Code::warning(
    "FED0203",
    "With `amqp-uri-in-environment` the AMQP URI, password included, is an environment variable \
     of the container, and anyone who can inspect the container can read it. Read the URI from the \
     file that `AMQP_URI_FILE` names instead, and remove the setting.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let uri_file = places.catalogue.variables.uri_file;
    for (path, _) in services(topology).filter(|(_, service)| service.amqp_uri_in_environment) {
        places.add(
            PASSWORD_EXPOSED,
            &format!("{path}/amqp-uri-in-environment"),
            "anyone who can inspect the container can read the broker's password",
            format!("read the URI from the file that `{uri_file}` names"),
        );
    }
}
