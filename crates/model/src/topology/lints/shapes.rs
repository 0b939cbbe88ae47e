//! Shapes that lack a value which they need, or have one that they do not use.

use std::collections::BTreeSet;

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    topology::{
        Pair, Shape, Topology,
        findings::{quoted, suggestion},
    },
};

pub(super) const LINT: Lint = Lint { codes: &[UNUSED, NO_HUB, PAIRS], check };

const UNUSED: Code = Code::error(
    "FED0125",
    "`hub` belongs to the shape `hub-and-spoke`, `pairs` to the shape `pairs`, and `one-way` to `ring`, `line` and \
     `hub-and-spoke`. With another shape the value has no effect, so the file does not mean what it says.",
);
const NO_HUB: Code = Code::error(
    "FED0126",
    "With the shape `hub-and-spoke` every region is linked to one of them, the hub, and to no other. `hub` names it.",
);
const PAIRS: Code = Code::error(
    "FED0127",
    "With the shape `pairs` there are only the links that `pairs` lists. Each entry names two different regions of the \
     topology, from `upstream` to `downstream`, and is listed once.",
);

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let federation = &topology.federation;
    let uses = |wanted: &[Shape]| wanted.contains(&federation.shape);
    let mut unused = |key: &str, is_set: bool, shapes: &[Shape]| {
        if is_set && !uses(shapes) {
            let shapes: Vec<&str> = shapes.iter().map(|shape| shape.as_str()).collect();
            let path = format!("federation/{key}");
            let message = format!("`{key}` has no effect with the shape `{}`", federation.shape.as_str());
            places.add_at_key(UNUSED, &path, message, format!("it is for the shape {}", shapes.join(", ")));
        }
    };
    unused("hub", federation.hub.is_some(), &[Shape::HubAndSpoke]);
    unused("pairs", !federation.pairs.is_empty(), &[Shape::Pairs]);
    unused("one-way", federation.one_way, &[Shape::Ring, Shape::Line, Shape::HubAndSpoke]);
    let names = || topology.regions.iter().map(|region| region.name.as_str());
    match (federation.shape, &federation.hub) {
        (Shape::HubAndSpoke, None) => {
            places.add(NO_HUB, "federation/shape", "which region is the hub is not said", "`hub: REGION`");
        }
        (Shape::HubAndSpoke, Some(hub)) if topology.region(hub).is_none() => {
            let help = suggestion(hub.as_str(), names(), "the regions are");
            places.add(
                NO_HUB,
                "federation/hub",
                format!("there is no region {}", quoted(hub.as_str())),
                help,
            );
        }
        (Shape::FullMesh | Shape::Ring | Shape::Line | Shape::HubAndSpoke | Shape::Pairs, _) => {}
    }
    if federation.shape == Shape::Pairs {
        pairs(topology, places);
    }
}

fn pairs(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let pairs = &topology.federation.pairs;
    if pairs.is_empty() {
        places.add(PAIRS, "federation/shape", "no pair is listed", "`pairs: [{upstream: A, downstream: B}]`");
    }
    let mut listed: BTreeSet<&Pair> = BTreeSet::new();
    for (index, pair) in pairs.iter().enumerate() {
        let path = format!("federation/pairs/{index}");
        for (end, region) in [("upstream", &pair.upstream), ("downstream", &pair.downstream)] {
            if topology.region(region).is_none() {
                let names = topology.regions.iter().map(|region| region.name.as_str());
                let help = suggestion(region.as_str(), names, "the regions are");
                let message = format!("there is no region {}", quoted(region.as_str()));
                places.add(PAIRS, &format!("{path}/{end}"), message, help);
            }
        }
        if pair.upstream == pair.downstream {
            places.add(PAIRS, &path, "a region is no upstream of itself", "name two regions");
        } else if !listed.insert(pair) {
            places.add(PAIRS, &path, "this pair is listed twice", "remove one of them");
        }
    }
}
