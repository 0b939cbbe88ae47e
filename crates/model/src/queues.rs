//! What waits in every queue, and which of them nobody empties.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    observed::{QueueDetails, Snapshot},
    topology::{RegionName, Topology},
};

/// The version of the JSON form. Within it, fields are only added.
const FORMAT_VERSION: u32 = 1;
/// How the names of queues begin that hold what could not be worked off.
const DEAD_LETTERS: &str = "dead-letters.";
/// How the names of the queues begin in which links keep what has not crossed.
const INTERNAL: &str = "federation: ";
/// A queue that grew at each of so many looks in a row, and shrank at none, grows without bound.
const GROWING_LOOKS: usize = 5;

/// Everything that `fedctl queues` reports.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Queues {
    /// The version of this form.
    pub version: u32,
    /// The project.
    pub project: String,
    /// Every queue of every region that answered.
    pub queues: Vec<QueueStatus>,
    /// What somebody should look at, worst first.
    pub warnings: Vec<String>,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct QueueStatus {
    /// Its region.
    pub region: RegionName,
    /// Its name.
    pub name: String,
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages that a consumer has and has not acknowledged.
    pub unacknowledged: u64,
    /// Consumers. A broker counts them every few seconds.
    pub consumers: u64,
    /// Messages a second by which it grows, or shrinks below zero, as the broker sees it over its last seconds.
    pub growth: f64,
    /// Whether it holds what could not be worked off.
    pub dead_letters: bool,
}

/// The JSON schema of [`Queues`], for programs that read it.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Queues).to_value()
}

/// The depths of the last looks, by region and queue: newest last.
#[derive(Debug, Clone, Default)]
pub struct History(BTreeMap<(RegionName, String), Vec<u64>>);

impl History {
    /// Takes note of a look, and says which queues have grown at every one of the last looks.
    fn growing(&mut self, queues: &[QueueStatus]) -> BTreeSet<(RegionName, String)> {
        let known: BTreeSet<_> =
            queues.iter().map(|queue| (queue.region.clone(), queue.name.clone())).collect();
        self.0.retain(|queue, _| known.contains(queue));
        for queue in queues {
            let depths = self.0.entry((queue.region.clone(), queue.name.clone())).or_default();
            depths.push(queue.ready + queue.unacknowledged);
            if depths.len() > GROWING_LOOKS + 1 {
                depths.remove(0);
            }
        }
        let grows = |depths: &Vec<u64>| depths.len() > GROWING_LOOKS && depths.is_sorted_by(|a, b| a < b);
        self.0.iter().filter(|(_, depths)| grows(depths)).map(|(queue, _)| queue.clone()).collect()
    }
}

/// Every queue of every broker that answered, and what is wrong with it or with those that did not.
#[must_use]
pub fn queues(topology: &Topology, found: &Snapshot<Vec<QueueDetails>>, history: &mut History) -> Queues {
    let regions = || topology.regions.iter().map(|region| &region.name);
    let mut warnings: Vec<String> =
        regions().filter_map(|region| Some(format!("{region}: {}", found.unavailable(region)?))).collect();
    let queues: Vec<QueueStatus> = regions()
        .filter_map(|region| Some((region, found.answer(region)?)))
        .flat_map(|(region, queues)| queues.iter().map(move |queue| queue_status(region, queue)))
        .collect();
    let growing = history.growing(&queues);
    warnings.extend(
        queues.iter().filter_map(|queue| {
            warning(queue, growing.contains(&(queue.region.clone(), queue.name.clone())))
        }),
    );
    Queues { version: FORMAT_VERSION, project: topology.name.clone(), queues, warnings }
}

fn queue_status(region: &RegionName, queue: &QueueDetails) -> QueueStatus {
    QueueStatus {
        region: region.clone(),
        name: queue.name.clone(),
        ready: queue.ready,
        unacknowledged: queue.unacknowledged,
        consumers: queue.consumers,
        growth: queue.growth,
        dead_letters: queue.name.starts_with(DEAD_LETTERS),
    }
}

fn warning(queue: &QueueStatus, growing: bool) -> Option<String> {
    let QueueStatus { region, name, ready, growth, .. } = queue;
    let depth = ready + queue.unacknowledged;
    if queue.dead_letters && depth > 0 {
        return Some(format!("{region}: {depth} messages could not be worked off and are in `{name}`"));
    }
    let abandoned = queue.consumers == 0 && *growth > 0.0;
    if !growing && !abandoned {
        return None;
    }
    let cause = match queue.consumers {
        0 if name.starts_with(INTERNAL) => "no link takes them",
        0 => "it has no consumer",
        _ => "its consumers do not keep up",
    };
    Some(format!("{region}: `{name}` grows without bound: {depth} messages, {growth:+.1} a second; {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{observed::Observed, site::Unavailable};

    const TOPOLOGY: &str = "name: shop\nmaster: europe\nregions: [name: europe, name: asia]\n";

    fn report(
        found: &[(&str, Result<Vec<QueueDetails>, Unavailable>)],
        history: &mut History,
    ) -> Vec<String> {
        let (topology, _) = crate::topology::parse(TOPOLOGY).unwrap();
        let brokers = found
            .iter()
            .cloned()
            .map(|(region, answer)| (RegionName::new(region), Observed { site: None, answer }));
        let found = Snapshot { brokers: brokers.collect(), ..Snapshot::default() };
        queues(&topology, &found, history).warnings
    }

    fn look(history: &mut History, name: &str, ready: u64, consumers: u64, growth: f64) -> Vec<String> {
        let details = QueueDetails { name: name.into(), ready, unacknowledged: 1, consumers, growth };
        report(&[("asia", Ok(vec![details]))], history)
    }

    #[test]
    fn a_queue_that_only_ever_grows_is_warned_of_and_one_that_shrinks_once_is_not() {
        let mut history = History::default();
        for depth in 0..5 {
            assert_eq!(look(&mut history, "orders", depth, 1, 1.0), Vec::<String>::new());
        }
        let warnings = look(&mut history, "orders", 9, 1, 4.0);
        assert_eq!(
            warnings,
            ["asia: `orders` grows without bound: 10 messages, +4.0 a second; its consumers do not keep up"]
        );
        assert_eq!(look(&mut history, "orders", 8, 1, -1.0), Vec::<String>::new());
    }

    #[test]
    fn one_look_is_enough_where_nobody_consumes_or_letters_are_dead() {
        let mut history = History::default();
        assert!(look(&mut history, "orders", 3, 0, 0.5)[0].contains("it has no consumer"));
        assert!(look(&mut history, "federation: x -> asia", 3, 0, 0.5)[0].contains("no link takes them"));
        assert_eq!(look(&mut history, "orders", 3, 0, 0.0), Vec::<String>::new(), "it may be waited for");
        assert!(look(&mut history, "dead-letters.taxes", 0, 0, 0.0)[0].contains("could not be worked off"));
    }

    #[test]
    fn a_region_that_does_not_answer_is_said() {
        let warnings = report(
            &[
                ("europe", Err(Unavailable::Unreachable("timed out".into()))),
                ("asia", Err(Unavailable::Missing)),
            ],
            &mut History::default(),
        );
        assert_eq!(warnings[0], "europe: timed out");
        assert!(warnings[1].starts_with("asia: the broker has no container"), "{warnings:?}");
    }
}
