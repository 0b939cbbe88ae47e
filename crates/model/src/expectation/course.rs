//! What a test does in each region.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    observed::Resource,
    topology::{Pair, RegionName, Test, Topology},
};

/// What a broker holds that a test may need, or why it does not say.
pub type Found = BTreeMap<RegionName, Result<BTreeSet<Resource>, String>>;

/// Where a test looks for its messages, and what has to be so before it publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Where it looks.
    pub inboxes: Vec<Inbox>,
    /// What each upstream has to know.
    pub crossings: BTreeSet<Crossing>,
    /// The queues in which nothing may wait, and which nobody may consume.
    pub idle: BTreeSet<(RegionName, String)>,
}

/// A place where a test looks for its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// The region.
    pub region: RegionName,
    /// The exchange to which a queue of the test's own is bound, or the queue that it consumes.
    pub from: Resource,
    /// The key with which it is bound.
    pub key: String,
    /// How many have to arrive.
    pub wanted: Wanted,
}

/// How many messages have to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// So many.
    Exactly(usize),
    /// None at all.
    Nothing,
    /// None a second time: they were published here.
    NoCopies,
}

/// That an upstream knows a binding of a downstream, by which messages cross.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crossing {
    /// The place of the inbox that is bound.
    pub inbox: usize,
    /// The two regions.
    pub pair: Pair,
    /// The exchange.
    pub exchange: String,
    /// The binding's key.
    pub key: String,
}

impl Course {
    /// What a test does, by what the brokers hold.
    ///
    /// # Errors
    ///
    /// Why it cannot be run.
    pub fn of(topology: &Topology, test: &Test, found: &Found) -> Result<Self, Vec<String>> {
        let mut problems = BTreeSet::new();
        let target = test.publish.target();
        problems.extend(lacks(&test.publish.region, &target, found));
        let mut inboxes = Vec::new();
        for expected in &test.expect {
            let (region, from) = (expected.region.clone(), expected.target());
            problems.extend(lacks(&region, &from, found));
            let (key, wanted) =
                (test.binding_key(expected).to_owned(), Wanted::Exactly(test.wanted(expected)));
            inboxes.push(Inbox { region, from, key, wanted });
        }
        if test.nowhere_else && matches!(target, Resource::Exchange(_)) {
            let (watching, unknown) = elsewhere(topology, test, &target, found);
            inboxes.extend(watching);
            problems.extend(unknown);
        }
        if !problems.is_empty() {
            return Err(problems.into_iter().collect());
        }
        let bound = inboxes.iter().enumerate();
        let crossings =
            bound.flat_map(|(place, inbox)| crossings(topology, test, place, inbox, found)).collect();
        let idle = inboxes.iter().flat_map(|inbox| idle(topology, inbox, found)).collect();
        Ok(Self { inboxes, crossings, idle })
    }

    /// The regions that take part, besides the one in which it publishes.
    #[must_use]
    pub fn regions(&self) -> BTreeSet<&RegionName> {
        self.inboxes.iter().map(|inbox| &inbox.region).collect()
    }
}

/// Whether a broker is known to hold something.
pub(super) fn has(region: &RegionName, wanted: &Resource, found: &Found) -> bool {
    found.get(region).is_some_and(|held| held.as_ref().is_ok_and(|held| held.contains(wanted)))
}

/// What keeps a test from using something in a region.
fn lacks(region: &RegionName, wanted: &Resource, found: &Found) -> Option<String> {
    match found.get(region) {
        Some(Ok(held)) if held.contains(wanted) => None,
        Some(Ok(_)) => Some(absent(region, wanted)),
        Some(Err(problem)) => Some(format!("`{region}` takes no part: {problem}")),
        None => Some(format!("`{region}` takes no part: it is not known")),
    }
}

pub(super) fn absent(region: &RegionName, wanted: &Resource) -> String {
    format!("{} `{}` does not exist in `{region}`", wanted.kind(), wanted.name())
}

/// The same exchange where nothing is expected, and where it is published; and the regions that do not say what they have.
fn elsewhere(
    topology: &Topology,
    test: &Test,
    target: &Resource,
    found: &Found,
) -> (Vec<Inbox>, Vec<String>) {
    let (mut watching, mut unknown) = (Vec::new(), Vec::new());
    let named = |region: &RegionName| test.expect.iter().any(|expected| expected.region == *region);
    for region in topology.regions.iter().map(|region| &region.name).filter(|region| !named(region)) {
        let is_origin = *region == test.publish.region;
        let wanted = if is_origin { Wanted::NoCopies } else { Wanted::Nothing };
        if has(region, target, found) {
            let (from, key) = (target.clone(), test.publish.routing_key().to_owned());
            watching.push(Inbox { region: region.clone(), from, key, wanted });
        } else if let Some(Err(problem)) = found.get(region).filter(|_| !is_origin) {
            unknown.push(format!(
                "whether anything reaches `{region}` would not be known: {problem} (`nowhere-else: false` does not ask for it)"
            ));
        }
    }
    (watching, unknown)
}

/// The bindings by which messages get to an inbox, on every link between regions that have the exchange.
fn crossings(topology: &Topology, test: &Test, place: usize, inbox: &Inbox, found: &Found) -> Vec<Crossing> {
    let Resource::Exchange(exchange) = &inbox.from else { return Vec::new() };
    if !topology.federates(&inbox.from) {
        return Vec::new();
    }
    let both_have = |pair: &Pair| {
        [&pair.upstream, &pair.downstream].into_iter().all(|region| has(region, &inbox.from, found))
    };
    let route = topology.route(&test.publish.region, &inbox.region).into_iter().filter(both_have);
    route
        .map(|pair| Crossing { inbox: place, pair, exchange: exchange.clone(), key: inbox.key.clone() })
        .collect()
}

/// The queue that an inbox consumes, and those of other regions out of which a link would fetch messages for it.
fn idle(topology: &Topology, inbox: &Inbox, found: &Found) -> Vec<(RegionName, String)> {
    let Resource::Queue(queue) = &inbox.from else { return Vec::new() };
    let is_federated = topology.federates(&inbox.from);
    let concerned = found.keys().filter(|region| **region == inbox.region || is_federated);
    let having = concerned.filter(|region| has(region, &inbox.from, found));
    having.map(|region| (region.clone(), queue.clone())).collect()
}
