//! Ports of the host that are asked for twice.

use std::collections::BTreeMap;

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    topology::{Region, Topology},
};

pub(super) const LINT: Lint = Lint { codes: &[HOST_PORT_TAKEN], check };

const HOST_PORT_TAKEN: Code = Code::error(
    "FED0116",
    "A port of the host can be published by one container only, and this one is pinned twice in \
     the file; the second container would not start. Pin another port, or leave it out and let \
     the engine choose. Services that are shared through an alias pin the same port in every \
     region.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let mut owners: BTreeMap<u16, String> = BTreeMap::new();
    let pins = topology.regions.iter().enumerate().flat_map(|(index, region)| pins(index, region));
    for Pin { port, owner, path } in pins {
        if let Some(first) = owners.get(&port) {
            places.add(
                HOST_PORT_TAKEN,
                &path,
                format!("{owner} cannot use host port {port}, which {first} uses"),
                "pin another, or leave it out and let the engine choose",
            );
        } else {
            owners.insert(port, owner);
        }
    }
}

/// A port of the host that something in the file asks for.
struct Pin {
    port: u16,
    owner: String,
    path: String,
}

fn pins(index: usize, region: &Region) -> Vec<Pin> {
    let broker = [("amqp", region.ports.amqp), ("management", region.ports.management)];
    let broker = broker.into_iter().filter_map(|(key, port)| {
        let owner = format!("the broker of `{}`", region.name);
        Some(Pin { port: port?, owner, path: format!("regions/{index}/ports/{key}") })
    });
    let services = region.services.iter().enumerate().flat_map(|(service_index, service)| {
        service.instances().flat_map(move |instance| {
            service.ports.iter().enumerate().filter_map(move |(port_index, port)| {
                let path = format!("regions/{index}/services/{service_index}/ports/{port_index}/host");
                Some(Pin { port: port.host?, owner: format!("`{instance}` in `{}`", region.name), path })
            })
        })
    });
    broker.chain(services).collect()
}
