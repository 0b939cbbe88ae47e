//! Which exchanges and queues should be federated in each region, whether or not its broker answers.

use std::collections::BTreeSet;

use crate::{
    federation::is_internal,
    observed::{BrokerHealth, Federated, Queue, Resource, Snapshot},
    pattern::Pattern,
    probe::is_probe,
    topology::{ApplyTo, RegionName, Topology},
};

/// What is federated in every region that answers, for [`links`](super::links) to expect it when it no longer does.
#[must_use]
pub fn federated(topology: &Topology, found: &Snapshot<BrokerHealth>) -> Federated {
    let policies = Policies::of(topology);
    let regions = topology.regions.iter().map(|region| &region.name);
    regions.filter_map(|region| Some((region.clone(), policies.matched(found.answer(region)?)))).collect()
}

/// What should be federated, by what the brokers have now and what they had before.
pub(super) struct Expected<'a> {
    policies: Policies,
    found: &'a Snapshot<BrokerHealth>,
    remembered: &'a Federated,
}

impl<'a> Expected<'a> {
    pub fn of(topology: &Topology, found: &'a Snapshot<BrokerHealth>, remembered: &'a Federated) -> Self {
        Self { policies: Policies::of(topology), found, remembered }
    }

    /// What should be federated in a region. Of one that neither answers nor was seen before, what is federated in any
    /// other is expected: services declare the same in every region.
    pub fn of_region(&self, region: &RegionName) -> BTreeSet<Resource> {
        let mut expected = match (self.found.answer(region), self.remembered.get(region)) {
            (Some(health), before) => {
                let streams: BTreeSet<&str> = streams(health).map(|queue| queue.name.as_str()).collect();
                let mut expected = self.policies.matched(health);
                let before =
                    before.into_iter().flatten().filter(|resource| !streams.contains(resource.name()));
                expected.extend(before.cloned());
                expected
            }
            (None, Some(before)) => before.clone(),
            (None, None) => {
                let answered = self.found.brokers.values().filter_map(|found| found.answer.as_ref().ok());
                answered.flat_map(|health| self.policies.matched(health)).collect()
            }
        };
        expected.retain(|resource| self.policies.match_resource(resource));
        expected
    }

    /// The streams that a policy matches. RabbitMQ does not federate streams.
    pub fn matched_streams<'h>(&self, health: &'h BrokerHealth) -> impl Iterator<Item = &'h str> {
        let matched = |queue: &&Queue| self.policies.apply(ApplyTo::Queues, &queue.name);
        streams(health).filter(matched).map(|queue| queue.name.as_str())
    }
}

/// Whether a broker has this exchange or queue.
pub(super) fn declares(health: &BrokerHealth, resource: &Resource) -> bool {
    match resource {
        Resource::Exchange(name) => health.exchanges.contains(name),
        Resource::Queue(name) => health.queues.iter().any(|queue| queue.name == *name),
    }
}

fn streams(health: &BrokerHealth) -> impl Iterator<Item = &Queue> {
    health.queues.iter().filter(|queue| queue.is_stream)
}

/// The topology's policies with their patterns compiled. One that does not compile was found on reading.
struct Policies(Vec<(ApplyTo, Pattern)>);

impl Policies {
    fn of(topology: &Topology) -> Self {
        let compiled = topology
            .federation
            .policies
            .iter()
            .filter_map(|policy| Some((policy.apply_to, Pattern::new(&policy.pattern).ok()?)));
        Self(compiled.collect())
    }

    /// Whether one of them applies to an exchange or queue of this name. The default exchange is never federated, nor
    /// are the internal ones of links; those of a probe are gone before anyone could miss them.
    fn apply(&self, apply_to: ApplyTo, name: &str) -> bool {
        !name.is_empty()
            && !is_internal(name)
            && !is_probe(name)
            && self.0.iter().any(|(to, pattern)| *to == apply_to && pattern.matches(name))
    }

    fn match_resource(&self, resource: &Resource) -> bool {
        match resource {
            Resource::Exchange(name) => self.apply(ApplyTo::Exchanges, name),
            Resource::Queue(name) => self.apply(ApplyTo::Queues, name),
        }
    }

    /// The exchanges and queues of a broker that should be federated.
    fn matched(&self, health: &BrokerHealth) -> BTreeSet<Resource> {
        let exchanges = health.exchanges.iter().cloned().map(Resource::Exchange);
        let queues = health.queues.iter().filter(|queue| !queue.is_stream);
        let queues = queues.map(|queue| Resource::Queue(queue.name.clone()));
        exchanges.chain(queues).filter(|resource| self.match_resource(resource)).collect()
    }
}
