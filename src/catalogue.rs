//! The built-in services and names of the contract, in the model's form.

use fedctl_contract::{dead_letters, environment, http, log::field, program::Program};
use fedctl_model::topology::{BuiltIn, Catalogue, LogFields, Variables};

#[must_use]
pub fn catalogue() -> Catalogue {
    let programs = Program::ALL.iter().map(|program| BuiltIn {
        name: program.name(),
        summary: program.summary(),
        variables: program.variables(),
        instances: program.instances().map(|(variable, listed)| (variable, listed.name())),
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
        dead_letters: dead_letters::PREFIX,
        log: LogFields {
            at: field::AT,
            level: field::LEVEL,
            region: field::REGION,
            service: field::SERVICE,
            event: field::EVENT,
            correlation_id: field::CORRELATION_ID,
        },
    }
}
