//! What a topology may count on: the built-in services, and what every service is given.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Port, Readiness, Topology, instances};

/// What a topology may count on. The model knows the form; the command line fills it in.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// What a service without an image may be.
    pub programs: Vec<BuiltIn>,
    /// The port on which they serve HTTP.
    pub port: u16,
    /// The path at which they answer 200 once they are ready.
    pub readiness_path: &'static str,
    /// Where the volume that a region's services share is mounted.
    pub directory: &'static str,
    pub variables: Variables,
    /// How the names of dead-letter queues begin.
    pub dead_letters: &'static str,
    pub log: LogFields,
}

/// The fields that every line of a service's log has.
#[derive(Debug, Clone, Copy)]
pub struct LogFields {
    /// When, RFC 3339.
    pub at: &'static str,
    pub level: &'static str,
    pub region: &'static str,
    pub service: &'static str,
    pub event: &'static str,
    /// What belongs to one request.
    pub correlation_id: &'static str,
}

/// A built-in service.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    pub name: &'static str,
    pub summary: &'static str,
    /// The environment variables by which a topology may configure it.
    pub variables: &'static [&'static str],
    /// The variable that lists all instances of a service, and that service: set unless the topology sets it.
    pub instances: Option<(&'static str, &'static str)>,
}

/// The names of the environment variables that are not a topology's to set.
#[derive(Debug, Clone, Copy)]
pub struct Variables {
    pub region: &'static str,
    /// All regions, comma separated.
    pub regions: &'static str,
    pub master_region: &'static str,
    pub instance: &'static str,
    /// The path of the file with the AMQP URI.
    pub uri_file: &'static str,
    /// The AMQP URI itself, where a topology asks for it.
    pub uri: &'static str,
    /// The directory that a region's services share.
    pub store: &'static str,
    /// Where the built-in services listen; the readiness check counts on their default.
    pub listen: &'static str,
}

impl Variables {
    pub(super) fn all(&self) -> [&'static str; 8] {
        let Self { region, regions, master_region, instance, uri_file, uri, store, listen } = *self;
        [region, regions, master_region, instance, uri_file, uri, store, listen]
    }
}

impl Catalogue {
    pub(super) fn program(&self, name: &str) -> Option<&BuiltIn> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// Gives services without an image the built-in services' port, where they publish none, their readiness check, where
    /// they have none and publish that port, and the instances that they must know of, where any are in the topology.
    pub fn complete(&self, topology: &mut Topology) {
        let present = topology.regions.iter().flat_map(|region| &region.services);
        let present: BTreeSet<String> = present.map(|service| service.name.clone()).collect();
        let services = topology.regions.iter_mut().flat_map(|region| &mut region.services);
        for service in services.filter(|service| service.image.is_none()) {
            let program = self.program(&service.name);
            if let Some((variable, listed)) = program.and_then(|program| program.instances)
                && present.contains(listed)
            {
                let value = || instances::of(listed);
                service.environment.entry(variable.to_owned()).or_insert_with(value);
            }
            if service.ports.is_empty() {
                service.ports.push(Port { container: self.port, host: None });
            }
            if service.readiness.is_none() && service.publishes(self.port) {
                service.readiness =
                    Some(Readiness { http: self.readiness_path.to_owned(), port: Some(self.port) });
            }
        }
    }

    /// Adds to the schema of a service what it may be without an image, for editors.
    pub(super) fn describe(&self, schema: &mut Value) {
        let programs = self.programs.iter().map(|BuiltIn { name, summary, variables, .. }| {
            let summary = match variables {
                [] => format!("{summary}."),
                variables => format!("{summary}. Environment variables: {}.", variables.join(", ")),
            };
            json!({"const": name, "description": summary})
        });
        let programs: Vec<Value> = programs.collect();
        if let Some(service) = schema.pointer_mut("/$defs/Service") {
            service["if"] = json!({"not": {"required": ["image"]}});
            service["then"] = json!({"properties": {"name": {"oneOf": programs}}});
        }
    }
}
