//! Messages that arrive more than once.

use super::{Lint, Places};
use crate::{
    diagnostic::Code,
    topology::{Shape, Topology},
};

pub(super) const LINT: Lint = Lint { codes: &[MANY_COPIES], check };

const MANY_COPIES: Code = Code::warning(
    "FED0201",
    "In a full mesh every region receives every message directly, so with more than one hop \
     the same message also arrives by way of other regions. With N regions and two hops that is \
     1+(N-2) copies, and three hops add (N-2)(N-3). Set `max-hops: 1` unless every consumer \
     deduplicates messages.",
);

/// More copies than this are not counted.
const MOST_COPIES: u64 = 1_000_000;

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let Shape::FullMesh = topology.federation.shape;
    let (regions, hops) = (topology.regions.len(), topology.federation.upstream.max_hops);
    let copies = match copies(regions, hops) {
        1 => return,
        copies if copies > MOST_COPIES => format!("more than {MOST_COPIES}"),
        copies => copies.to_string(),
    };
    places.add(
        MANY_COPIES,
        "federation/upstream/max-hops",
        format!("every region receives each message of another up to {copies} times"),
        format!("in a full mesh of {regions} one hop reaches every region: `max-hops: 1`"),
    );
}

/// How often a message reaches another region of a full mesh: once by every path that visits no
/// region twice, 1 + (N-2) + (N-2)(N-3) + … for as many hops as are allowed.
fn copies(regions: usize, hops: u32) -> u64 {
    let between = u64::try_from(regions.saturating_sub(2)).unwrap_or(u64::MAX);
    let mut paths: u64 = 1;
    let mut copies: u64 = 1;
    for hop in 1..u64::from(hops) {
        paths = paths.saturating_mul(between.saturating_sub(hop - 1));
        copies = copies.saturating_add(paths);
    }
    copies
}
