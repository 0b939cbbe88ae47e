//! A probe: messages of its own, through a link of its own for every policy and every pair of regions, and what came of
//! them.
//!
//! Its exchange and queues have names that the policies match, so that the brokers make links for them as for any other.

mod codes;
mod name;
mod report;
mod tally;

use std::collections::BTreeSet;

pub(crate) use codes::ALL as CODES;
pub use name::{Nonce, is_probe, is_stale};
pub use report::{Left, LinkProbe, ProbeReport, ProbeState, Problem, schema};
pub use tally::{Evidence, Message, Tally};

use crate::{
    diagnostic::{Diagnostic, Place},
    observed::Resource,
    status::LinkRef,
    topology::{ApplyTo, FederationPolicy, Pair, RegionName, Topology},
};

/// What a probe sends where.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The project.
    pub project: String,
    /// By which the probe knows what is its own.
    pub nonce: Nonce,
    /// How many messages each link gets.
    pub count: usize,
    /// The regions, in the order of the file.
    pub regions: Vec<RegionName>,
    /// What is published where.
    pub lanes: Vec<Lane>,
    /// The policies that no name of the probe's own matches.
    pub unnamed: Vec<Diagnostic>,
}

/// What is published in one region to one exchange, with one routing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The policy that federates it.
    pub policy: String,
    /// Where it is published.
    pub upstream: RegionName,
    /// What is federated. Messages for a queue are published to the default exchange.
    pub resource: Resource,
    /// Where each message has to arrive, once.
    pub downstreams: Vec<RegionName>,
}

impl Probe {
    /// The probe of the links between these regions.
    #[must_use]
    pub fn of(topology: &Topology, regions: &[RegionName], nonce: Nonce, count: usize) -> Self {
        let pairs = topology.pairs();
        let chosen = |region: &RegionName| regions.contains(region);
        let pairs: Vec<&Pair> =
            pairs.iter().filter(|pair| chosen(&pair.upstream) && chosen(&pair.downstream)).collect();
        let (mut lanes, mut unnamed) = (Vec::new(), Vec::new());
        for policy in &topology.federation.policies {
            match lanes_of(policy, &pairs, &nonce) {
                Some(found) => lanes.extend(found),
                None => unnamed.push(no_name(&topology.name, policy)),
            }
        }
        let known = topology.regions.iter().map(|region| region.name.clone());
        Self {
            project: topology.name.clone(),
            count,
            regions: known.filter(chosen).collect(),
            lanes,
            unnamed,
            nonce,
        }
    }

    /// The routing key of messages that are published to an exchange.
    #[must_use]
    pub fn key(&self) -> &str {
        self.nonce.mark()
    }

    /// The queue in which a region gets what comes by exchanges.
    #[must_use]
    pub fn inbox(&self, region: &RegionName) -> String {
        format!("{}.inbox.{region}", self.nonce.mark())
    }

    /// Its exchanges.
    #[must_use]
    pub fn exchanges(&self) -> BTreeSet<&str> {
        let names = self.lanes.iter().filter_map(|lane| match &lane.resource {
            Resource::Exchange(name) => Some(name.as_str()),
            Resource::Queue(_) => None,
        });
        names.collect()
    }

    /// Its queues that are federated, each with the region that consumes it.
    #[must_use]
    pub fn queues(&self) -> BTreeSet<(&str, &RegionName)> {
        let queues = self.lanes.iter().filter_map(|lane| match &lane.resource {
            Resource::Queue(name) => Some(lane.downstreams.iter().map(move |region| (name.as_str(), region))),
            Resource::Exchange(_) => None,
        });
        queues.flatten().collect()
    }

    /// Every link that it uses, with its lane.
    pub fn links(&self) -> impl Iterator<Item = (usize, LinkRef)> {
        self.lanes.iter().enumerate().flat_map(|(lane, found)| {
            let link = move |downstream: &RegionName| LinkRef {
                upstream: found.upstream.clone(),
                downstream: downstream.clone(),
                resource: found.resource.clone(),
            };
            found.downstreams.iter().map(move |downstream| (lane, link(downstream)))
        })
    }
}

/// An exchange is the same in every region, and each gets a copy of a message. A queue has one consumer, so every region
/// that consumes has a queue of its own.
fn lanes_of(policy: &FederationPolicy, pairs: &[&Pair], nonce: &Nonce) -> Option<Vec<Lane>> {
    let lane = |upstream: &RegionName, resource: Resource, downstreams: Vec<RegionName>| Lane {
        policy: policy.name.clone(),
        upstream: upstream.clone(),
        resource,
        downstreams,
    };
    match policy.apply_to {
        ApplyTo::Exchanges => {
            let exchange = Resource::Exchange(nonce.exchange(&policy.pattern)?);
            let upstreams: BTreeSet<&RegionName> = pairs.iter().map(|pair| &pair.upstream).collect();
            let downstreams = |upstream: &RegionName| {
                let of_it = pairs.iter().filter(|pair| pair.upstream == *upstream);
                of_it.map(|pair| pair.downstream.clone()).collect()
            };
            let lanes =
                upstreams.into_iter().map(|upstream| lane(upstream, exchange.clone(), downstreams(upstream)));
            Some(lanes.collect())
        }
        ApplyTo::Queues => {
            let lane = |pair: &&Pair| {
                let queue = Resource::Queue(nonce.queue(&policy.pattern, &pair.downstream)?);
                Some(lane(&pair.upstream, queue, vec![pair.downstream.clone()]))
            };
            pairs.iter().map(lane).collect()
        }
    }
}

fn no_name(project: &str, policy: &FederationPolicy) -> Diagnostic {
    let FederationPolicy { name, pattern, .. } = policy;
    let message = format!("policy `{name}` is not probed: no name of the probe's own matches `{pattern}`");
    Diagnostic::new(codes::NO_NAME, Place::Project { name: project.to_owned() }, message)
        .help("`fedctl status` shows its links")
}
