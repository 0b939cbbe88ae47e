//! Regions, services and policies that share a name.

use std::collections::BTreeMap;

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    topology::{Topology, findings::quoted},
};

pub(super) const LINT: Lint = Lint { codes: &[DUPLICATE_REGION, DUPLICATE_SERVICE, DUPLICATE_POLICY], check };

const DUPLICATE_REGION: Code = Code::error(
    "FED0112",
    "Two regions have the same name. Their brokers would share a host name and a cluster name, \
     and federation could not tell them apart. Rename one.",
);
const DUPLICATE_SERVICE: Code = Code::error(
    "FED0113",
    "Two services in one region have the same name, and so would their containers. Rename one; \
     services in different regions may share a name.",
);
const DUPLICATE_POLICY: Code = Code::error(
    "FED0114",
    "Two policies have the same name. A broker keeps one policy of a name, so the second would \
     replace the first. Rename one.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let regions = topology.regions.iter().map(|region| region.name.to_string()).enumerate();
    distinct(places, DUPLICATE_REGION, "regions", regions, "two regions are called");
    for (index, region) in topology.regions.iter().enumerate() {
        let services = region.services.iter().enumerate();
        let instances =
            services.flat_map(|(index, service)| service.instances().map(move |name| (index, name)));
        let message = format!("two services in `{}` are called", region.name);
        distinct(places, DUPLICATE_SERVICE, &format!("regions/{index}/services"), instances, &message);
    }
    let policies = topology.federation.policies.iter().map(|policy| policy.name.clone()).enumerate();
    distinct(places, DUPLICATE_POLICY, "federation/policies", policies, "two policies are called");
}

/// Each name in the list at `path` may be there once.
fn distinct(
    places: &mut Places<'_, '_, '_>,
    code: Code,
    path: &str,
    names: impl Iterator<Item = (usize, String)>,
    message: &str,
) {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for (index, name) in names {
        let place = format!("{path}/{index}/name");
        if let Some(earlier) = first.get(&name) {
            let help = format!("the other is on line {}; rename one of them", places.line(earlier));
            places.add(code, &place, format!("{message} {}", quoted(&name)), help);
        } else {
            first.insert(name, place);
        }
    }
}
