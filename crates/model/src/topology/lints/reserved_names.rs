//! Names of regions and services that are already something else's.

use super::{Lint, Places, services};
use crate::{
    diagnostic::Code,
    topology::{Topology, findings::quoted},
};

pub(super) const LINT: Lint = Lint { codes: &[RESERVED_NAME], check };

const RESERVED_NAME: Code = Code::error(
    "FED0121",
    "The name of a region or service is also a host name, and a service's is the name of a \
     directory as well. This one is taken: `broker` is a region's broker, `localhost` is every \
     container itself, `store` is the directory that built-in services share, and a region's \
     name is that region's broker. Connections would end in the wrong container, and files in the \
     wrong directory. Choose another name.",
);

/// Names that are a container's or a directory's of every region.
const SERVICES: [(&str, &str); 3] = [
    ("broker", "the region's broker"),
    ("store", "the directory that built-in services share"),
    ("localhost", "every container itself"),
];

/// Host names by which a broker reaches itself.
const REGIONS: [(&str, &str); 2] =
    [("broker", "every region's own broker"), ("localhost", "every container itself")];

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    for (index, region) in topology.regions.iter().enumerate() {
        let name = region.name.as_str();
        reserved(places, &format!("regions/{index}"), name, holder(&REGIONS, name));
    }
    for (path, service) in services(topology) {
        let name = service.name.as_str();
        let region = topology.regions.iter().any(|region| region.name.as_str() == name);
        reserved(places, &path, name, holder(&SERVICES, name).or(region.then_some("a region")));
    }
}

fn holder(reserved: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    reserved.iter().find(|(reserved, _)| *reserved == name).map(|(_, holder)| *holder)
}

fn reserved(places: &mut Places<'_, '_, '_>, path: &str, name: &str, holder: Option<&str>) {
    if let Some(holder) = holder {
        places.add(
            RESERVED_NAME,
            &format!("{path}/name"),
            format!("{} is the name of {holder}", quoted(name)),
            "choose another name",
        );
    }
}
