//! Brokers with less memory than their links need.

use super::{Lint, Places};
use crate::{
    counted::counted,
    diagnostic::Code,
    topology::{Neighbours, Topology},
};

pub(super) const LINT: Lint = Lint { codes: &[TOO_LITTLE], check };

const TOO_LITTLE: Code = Code::warning(
    "FED0215",
    "A broker needs about 110 MiB for itself, 0.6 MiB for each link that ends there and 1 MiB for each that begins there \
     (measured), and raises its memory alarm at 0.6 of `memory`. With an alarm it takes no messages from publishers. This \
     counts one exchange or queue for each policy; every further one adds as many links. Raise `memory`, or use a shape \
     with fewer links.",
);

/// What a broker and its links need, in tenths of a MiB, as measured on RabbitMQ 4.0.5 and 4.3.6.
const BROKER: usize = 1100;
const AS_DOWNSTREAM: usize = 6;
const AS_UPSTREAM: usize = 10;
/// The share of its memory at which a broker of 4.0 or later raises its alarm, in tenths.
const WATERMARK: u64 = 6;

fn check(topology: &Topology, places: &mut Places<'_, '_, '_>) {
    let policies = topology.federation.policies.len();
    let needed = |region: &Neighbours| {
        BROKER + policies * (AS_DOWNSTREAM * region.upstreams.len() + AS_UPSTREAM * region.downstreams.len())
    };
    let neighbours = topology.neighbours();
    let in_containers = topology.regions.iter().filter(|region| region.broker.is_none());
    let in_containers = in_containers.filter_map(|region| neighbours.get_key_value(&region.name));
    let Some((name, most)) = in_containers.max_by_key(|(_, region)| needed(region)) else { return };
    let tenths = u64::try_from(needed(most)).unwrap_or(u64::MAX);
    let memory = topology.broker.memory;
    if tenths > memory * WATERMARK {
        let links = policies * (most.upstreams.len() + most.downstreams.len());
        let message = format!(
            "the broker of `{name}` needs about {} MiB for {}, and raises its alarm at {} MiB",
            tenths / 10,
            counted(links, "link"),
            memory * WATERMARK / 10
        );
        places.add(
            TOO_LITTLE,
            "broker/memory",
            message,
            format!("`memory: {}`, or more", tenths.div_ceil(5)),
        );
    }
}
