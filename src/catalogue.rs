//! The programs and names of the contract, in the form in which the model takes them.

use fedctl_contract::{environment, http, program::Program};
use fedctl_model::topology::{BuiltIn, Catalogue, Variables};

#[must_use]
pub fn catalogue() -> Catalogue {
    let programs = Program::ALL.iter().map(|program| BuiltIn {
        name: program.name(),
        summary: program.summary(),
        variables: program.variables(),
    });
    Catalogue {
        programs: programs.collect(),
        port: http::PORT,
        readiness_path: http::HEALTHZ,
        directory: environment::DIRECTORY,
        variables: Variables {
            region: environment::REGION,
            regions: environment::REGIONS,
            master_region: environment::MASTER_REGION,
            instance: environment::INSTANCE,
            uri_file: environment::AMQP_URI_FILE,
            uri: environment::AMQP_URI,
            store: environment::STORE,
            listen: environment::LISTEN,
        },
    }
}
