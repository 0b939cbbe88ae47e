//! What topologies may count on in these tests.

use fedctl_model::topology::{BuiltIn, Catalogue, LogFields, Variables};

const PROGRAMS: [(&str, &[&str]); 7] = [
    ("products", &[]),
    ("indexer", &[]),
    ("taxes", &[]),
    ("rpc", &[]),
    ("payment", &["DELAY_MS", "INSTANCES", "LIMIT"]),
    ("compute", &["HOSTS"]),
    ("compute-host", &["CAPACITY", "HOSTS", "IMAGES"]),
];

pub fn catalogue() -> Catalogue {
    let programs = PROGRAMS.map(|(name, variables)| BuiltIn {
        name,
        summary: "Runs",
        variables,
        instances: (name == "payment").then_some(("INSTANCES", "payment")),
    });
    let variables = Variables {
        region: "REGION",
        regions: "REGIONS",
        master_region: "MASTER_REGION",
        instance: "INSTANCE",
        uri_file: "AMQP_URI_FILE",
        uri: "AMQP_URI",
        store: "STORE",
        listen: "LISTEN",
    };
    Catalogue {
        programs: programs.into(),
        port: 8000,
        readiness_path: "/healthz",
        directory: "/var/lib/fedctl",
        variables,
        dead_letters: "dead-letters.",
        log: LogFields {
            at: "at",
            level: "level",
            region: "region",
            service: "service",
            event: "event",
            correlation_id: "correlation_id",
        },
    }
}
