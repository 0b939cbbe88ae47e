//! The shape of a federation: which regions are linked with which.

use std::collections::BTreeSet;

use super::{codes, links::Link};
use crate::{
    diagnostic::{Diagnostic, Place},
    topology::{Pair, Region, Shape, Topology},
};

/// Gives the topology the first shape that has exactly these links, and what follows from it. A ring or a line may need
/// the regions in another order.
pub(super) fn find(topology: &mut Topology, links: &[Link<'_>], diagnostics: &mut Vec<Diagnostic>) {
    let pair =
        |link: &Link<'_>| Pair { upstream: link.upstream.clone(), downstream: link.downstream.clone() };
    let pairs: BTreeSet<Pair> = links.iter().map(pair).collect();
    if pairs.is_empty() {
        let place = Place::Project { name: topology.name.clone() };
        let message = "no upstream of these brokers leads to another of them";
        let help = "look at `shape` before anything is applied: the file links every region with every other";
        diagnostics.push(Diagnostic::new(codes::NOT_FEDERATED, place, message).help(help));
        return;
    }
    let found = candidates(topology, &pairs).into_iter().find(|found| linked(found) == pairs);
    if let Some(found) = found {
        *topology = found;
    }
    let hops = topology.federation.upstream.max_hops.take();
    // it follows from the shape
    topology.federation.upstream.max_hops = hops.filter(|hops| *hops != topology.max_hops());
    let repeats = topology.copies().iter().any(|copy| copy.count > 1);
    topology.federation.allow_duplicates = repeats;
}

fn linked(topology: &Topology) -> BTreeSet<Pair> {
    topology.pairs().into_iter().collect()
}

/// Every shape of these regions that may have these links, the plainest first; the list of the links is always one.
fn candidates(topology: &Topology, pairs: &BTreeSet<Pair>) -> Vec<Topology> {
    let given = topology.clone();
    let walked = topology.regions.iter().filter_map(|start| walk(&topology.regions, start, pairs));
    let orders: Vec<Vec<Region>> = [topology.regions.clone()].into_iter().chain(walked).collect();
    let in_order = orders.into_iter().flat_map(move |regions| {
        let shapes = [Shape::FullMesh, Shape::Ring, Shape::Line];
        let base = given.clone();
        shapes.into_iter().flat_map(move |shape| {
            let with = |one_way| {
                let mut found = Topology { regions: regions.clone(), ..base.clone() };
                (found.federation.shape, found.federation.one_way) = (shape, one_way);
                found
            };
            [with(false), with(true)]
        })
    });
    let hubs = topology.regions.iter().flat_map(|hub| {
        let with = |one_way| {
            let mut found = topology.clone();
            let federation = &mut found.federation;
            (federation.shape, federation.one_way) = (Shape::HubAndSpoke, one_way);
            federation.hub = Some(hub.name.clone());
            found
        };
        [with(false), with(true)]
    });
    let mut listed = topology.clone();
    listed.federation.shape = Shape::Pairs;
    listed.federation.pairs = pairs.iter().cloned().collect();
    in_order.chain(hubs).chain([listed]).collect()
}

/// The regions in the order in which messages go from one to the next, if that leads through all of them.
fn walk(regions: &[Region], start: &Region, pairs: &BTreeSet<Pair>) -> Option<Vec<Region>> {
    let mut order = vec![start.clone()];
    while order.len() < regions.len() {
        let last = order.last()?;
        let is_next = |region: &&Region| {
            let pair = Pair { upstream: last.name.clone(), downstream: region.name.clone() };
            pairs.contains(&pair) && order.iter().all(|passed| passed.name != region.name)
        };
        let next = regions.iter().find(is_next)?.clone();
        order.push(next);
    }
    Some(order)
}
