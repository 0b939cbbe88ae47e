//! Messages that arrive more than once, or not at all.

use super::{Lint, Places};
use crate::{
    counted::counted,
    diagnostic::Code,
    topology::{ApplyTo, RegionName, Topology},
};

pub(super) const LINT: Lint = Lint { codes: &[MANY_COPIES, TOO_FEW_HOPS, QUEUES_TOO_FAR], check };

const MANY_COPIES: Code = Code::error(
    "FED0128",
    "A message of a federated exchange takes every path of no more links than `max-hops` that visits no region twice, and \
     arrives once by each: in a full mesh of N regions 1+(N-2) times with two hops. Leave `max-hops` out, which is then as \
     many as the shape needs, or choose a shape with one path between regions, such as a line, a hub and spokes, or a \
     ring with `one-way: true`. If every consumer discards duplicates, say `allow-duplicates: true`.",
);
const TOO_FEW_HOPS: Code = Code::warning(
    "FED0205",
    "A message of a federated exchange crosses at most `max-hops` links, and the way between some regions is longer: what \
     is published in one does not reach the other. Leave `max-hops` out, which is then as many as the shape needs.",
);
const QUEUES_TOO_FAR: Code = Code::warning(
    "FED0206",
    "A queue's link fetches messages only for consumers of its own region, not for those of a region behind it, whatever \
     `max-hops` says. So a message that waits in one region is consumed there or in a region that is directly linked to it. \
     Link every region whose services need each other's queues, as a full mesh does, or federate exchanges only.",
);

/// A path over more regions than this is shortened.
const NAMED_HOPS: usize = 8;

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    const MAX_HOPS: &str = "federation/upstream/max-hops";
    let hops = usize::try_from(topology.max_hops()).unwrap_or(usize::MAX);
    let farthest = topology.farthest();
    if hops < farthest {
        places.add(
            TOO_FEW_HOPS,
            MAX_HOPS,
            format!(
                "messages cross {} at most, and some regions are {farthest} apart",
                counted(hops, "link")
            ),
            format!("`max-hops: {farthest}`, or leave it out"),
        );
    }
    let federation = &topology.federation;
    if farthest > 1 && federation.policies.iter().any(|policy| policy.apply_to == ApplyTo::Queues) {
        places.add(
            QUEUES_TOO_FAR,
            "federation/shape",
            format!("queues are federated over one link only, and some regions are {farthest} apart"),
            "consumers get messages of directly linked regions only; a full mesh links all",
        );
    }
    let copies = if federation.allow_duplicates { Vec::new() } else { topology.copies() };
    let mut many = copies.iter().filter(|copies| copies.count > 1);
    let Some(first) = many.next() else { return };
    let path = |path: &Vec<RegionName>| match path.as_slice() {
        [first, second, .., last] if path.len() > NAMED_HOPS => {
            format!("{first} → {second} → … → {last} ({})", counted(path.len() - 1, "link"))
        }
        all => all.iter().map(RegionName::as_str).collect::<Vec<_>>().join(" → "),
    };
    let paths: Vec<String> = topology.paths(&first.origin, &first.region).iter().map(path).collect();
    let message = format!(
        "a message from `{}` reaches `{}` {} times: {}",
        first.origin,
        first.region,
        first.count,
        paths.join(", ")
    );
    let others = many.count();
    let message = match others {
        0 => message,
        others => format!("{message}; the same between {}", counted(others, "other pair")),
    };
    let is_set = topology.federation.upstream.max_hops.is_some();
    let (place, help) = if is_set && hops > farthest {
        (MAX_HOPS, format!("`max-hops: {farthest}`, or leave it out"))
    } else {
        (
            "federation/shape",
            "a ring with `one-way: true`, a line or a hub has one path to each region".into(),
        )
    };
    places.add(MANY_COPIES, place, message, format!("{help}; or say `allow-duplicates: true`"));
}
