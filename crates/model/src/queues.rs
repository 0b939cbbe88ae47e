//! The depth of every queue, and which of them grow without bound or hold dead letters.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    counted::counted,
    diagnostic::{Code, Diagnostic, Place},
    federation::is_internal,
    observed::{QueueDetails, Snapshot},
    topology::{RegionName, Topology},
};

/// The version of the JSON format. Within a version, fields are only added.
const FORMAT_VERSION: u32 = 1;
/// A queue that grew at this many samples in a row counts as growing without bound.
const GROWING_SAMPLES: usize = 5;

pub(crate) const CODES: [Code; 4] = [DEAD_LETTERED, NO_CONSUMER, NO_LINK, CONSUMERS_TOO_SLOW];

const DEAD_LETTERED: Code = Code::warning(
    "FED0401",
    "A service could not process these messages, after several retries or because of what they contain, and moved \
     them to its dead-letter queue so that they do not hold up the others. Nothing consumes that queue by \
     itself. `fedctl logs REGION SERVICE` shows why; once that is fixed, move them back or purge the queue.",
);
const NO_CONSUMER: Code = Code::warning(
    "FED0402",
    "Messages arrive in this queue and nothing consumes them, so it grows until the broker runs out of disk or \
     memory and blocks its publishers. The service that should consume is stopped, has lost its connection, or \
     is not in the topology. Start it, or delete the queue or its bindings.",
);
const NO_LINK: Code = Code::warning(
    "FED0403",
    "Messages for another region wait in this internal queue, and no link consumes it. The link \
     is down, or its downstream was removed and left the queue behind, in which case it grows for ever. `fedctl \
     status` shows the links and why they do not run; `fedctl plan` shows what removed regions have left behind.",
);
const CONSUMERS_TOO_SLOW: Code = Code::warning(
    "FED0404",
    "This queue has consumers, and it has grown at each of the last samples: messages arrive faster than they are \
     processed. Delivery takes ever longer, until the broker runs out of disk or memory. Run more consumers, as with \
     `replicas`, or publish less.",
);

/// Everything that `fedctl queues` reports.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Queues {
    /// The version of this format.
    pub version: u32,
    /// The project.
    pub project: String,
    /// Every queue of every region that answered.
    pub queues: Vec<QueueStatus>,
    /// What is wrong, as text: regions that did not answer, then queues.
    pub warnings: Vec<String>,
    /// The warnings as data.
    pub diagnostics: Vec<Diagnostic>,
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
    /// Messages delivered to a consumer and not yet acknowledged.
    pub unacknowledged: u64,
    /// Consumers. A broker counts them every few seconds; null where it has not.
    pub consumers: Option<u64>,
    /// Messages per second by which it grows, negative if it shrinks, as the broker measures it over the last seconds; null
    /// where it does not.
    pub growth: Option<f64>,
    /// Whether it is a dead-letter queue.
    pub dead_letters: bool,
}

/// The JSON schema of [`Queues`], for programs that read it.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Queues).to_value()
}

/// The depths of the last samples, by region and queue: newest last.
#[derive(Debug, Clone, Default)]
pub struct History(BTreeMap<(RegionName, String), Vec<u64>>);

impl History {
    /// Adds a sample, and returns the queues that grew at every one of the last samples.
    fn growing(&mut self, queues: &[QueueStatus]) -> BTreeSet<(RegionName, String)> {
        let known: BTreeSet<_> =
            queues.iter().map(|queue| (queue.region.clone(), queue.name.clone())).collect();
        self.0.retain(|queue, _| known.contains(queue));
        for queue in queues {
            let depths = self.0.entry((queue.region.clone(), queue.name.clone())).or_default();
            depths.push(queue.ready + queue.unacknowledged);
            if depths.len() > GROWING_SAMPLES + 1 {
                depths.remove(0);
            }
        }
        let grows = |depths: &Vec<u64>| depths.len() > GROWING_SAMPLES && depths.is_sorted_by(|a, b| a < b);
        self.0.iter().filter(|(_, depths)| grows(depths)).map(|(queue, _)| queue.clone()).collect()
    }
}

/// Every queue of every broker that answered, and what is wrong with it or with those that did not. `dead_letters` is
/// how the names of dead-letter queues begin.
#[must_use]
pub fn queues(
    topology: &Topology,
    dead_letters: &str,
    found: &Snapshot<Vec<QueueDetails>>,
    history: &mut History,
) -> Queues {
    let regions = || topology.regions.iter().map(|region| &region.name);
    let queues: Vec<QueueStatus> = regions()
        .filter_map(|region| Some((region, found.answer(region)?)))
        .flat_map(|(region, queues)| {
            queues.iter().map(move |queue| queue_status(region, queue, dead_letters))
        })
        .collect();
    let growing = history.growing(&queues);
    let silent = regions().filter_map(|region| Some(found.unavailable(region)?.diagnostic(region)));
    let wrong = queues
        .iter()
        .filter_map(|queue| diagnostic(queue, growing.contains(&(queue.region.clone(), queue.name.clone()))));
    let diagnostics: Vec<Diagnostic> = silent.chain(wrong).collect();
    let warnings = diagnostics.iter().map(ToString::to_string).collect();
    Queues { version: FORMAT_VERSION, project: topology.name.clone(), queues, warnings, diagnostics }
}

fn queue_status(region: &RegionName, queue: &QueueDetails, dead_letters: &str) -> QueueStatus {
    QueueStatus {
        region: region.clone(),
        name: queue.name.clone(),
        ready: queue.ready,
        unacknowledged: queue.unacknowledged,
        consumers: queue.consumers,
        growth: queue.growth,
        dead_letters: queue.name.starts_with(dead_letters),
    }
}

fn diagnostic(queue: &QueueStatus, growing: bool) -> Option<Diagnostic> {
    let QueueStatus { region, name, ready, growth, consumers, .. } = queue;
    let depth = ready + queue.unacknowledged;
    let place = Place::Queue { region: region.clone(), name: name.clone() };
    if queue.dead_letters && depth > 0 {
        return Some(Diagnostic::new(DEAD_LETTERED, place, counted(depth, "dead-lettered message")));
    }
    let rises = growth.is_some_and(|growth| growth > 0.0);
    let (code, cause) = match consumers {
        Some(0) if !growing && !rises => return None,
        Some(0) if is_internal(name) => (NO_LINK, "no link consumes it"),
        Some(0) => (NO_CONSUMER, "no consumers"),
        Some(_) if growing => (CONSUMERS_TOO_SLOW, "its consumers cannot keep up"),
        None if growing => (CONSUMERS_TOO_SLOW, "whether it has consumers is not known"),
        Some(_) | None => return None,
    };
    let growth = growth.map_or_else(String::new, |growth| format!(", {growth:+.1}/s"));
    let message = format!("keeps growing ({}{growth})", counted(depth, "message"));
    Some(Diagnostic::new(code, place, message).cause(cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{observed::Observed, site::Unavailable};

    const TOPOLOGY: &str = "name: shop\nmaster: europe\nregions: [name: europe, name: asia]\n";

    fn report(found: &[(&str, Result<Vec<QueueDetails>, Unavailable>)], history: &mut History) -> Queues {
        let topology: crate::topology::Topology = serde_yaml::from_str(TOPOLOGY).unwrap();
        let brokers = found
            .iter()
            .cloned()
            .map(|(region, answer)| (RegionName::new(region), Observed { site: None, answer }));
        let found = Snapshot { brokers: brokers.collect(), ..Snapshot::default() };
        queues(&topology, "dead-letters.", &found, history)
    }

    fn look(history: &mut History, name: &str, ready: u64, consumers: u64, growth: f64) -> Vec<String> {
        let (consumers, growth) = (Some(consumers), Some(growth));
        let details = QueueDetails { name: name.into(), ready, unacknowledged: 1, consumers, growth };
        report(&[("asia", Ok(vec![details]))], history).warnings
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
            ["queue `orders` in `asia`: keeps growing (10 messages, +4.0/s): its consumers cannot keep up"]
        );
        assert_eq!(look(&mut history, "orders", 8, 1, -1.0), Vec::<String>::new());
    }

    #[test]
    fn one_sample_is_enough_without_a_consumer_and_for_dead_letters() {
        let mut history = History::default();
        assert!(look(&mut history, "orders", 3, 0, 0.5)[0].contains("no consumers"));
        assert!(look(&mut history, "federation: x -> asia", 3, 0, 0.5)[0].contains("no link consumes it"));
        assert_eq!(look(&mut history, "orders", 3, 0, 0.0), Vec::<String>::new(), "it may be waited for");
        assert!(look(&mut history, "dead-letters.taxes", 0, 0, 0.0)[0].contains("1 dead-lettered message"));
    }

    #[test]
    fn a_queue_whose_consumers_are_not_counted_is_not_said_to_have_none() {
        let mut history = History::default();
        let mut look = |ready| {
            let name = "orders".to_owned();
            let details = QueueDetails { name, ready, unacknowledged: 0, consumers: None, growth: None };
            report(&[("asia", Ok(vec![details]))], &mut history).warnings
        };
        for depth in 0..5 {
            assert_eq!(look(depth), Vec::<String>::new());
        }
        let text =
            "queue `orders` in `asia`: keeps growing (9 messages): whether it has consumers is not known";
        assert_eq!(look(9), [text]);
    }

    #[test]
    fn a_region_that_does_not_answer_is_a_warning() {
        let warnings = report(
            &[
                ("europe", Err(Unavailable::Unreachable("timed out".into()))),
                ("asia", Err(Unavailable::Missing)),
            ],
            &mut History::default(),
        )
        .warnings;
        assert_eq!(warnings[0], "broker `europe`: timed out");
        assert!(warnings[1].starts_with("broker `asia`: the broker has no container"), "{warnings:?}");
    }

    #[test]
    fn a_warning_is_text_and_data() {
        let queue = QueueDetails {
            name: "orders".into(),
            ready: 3,
            unacknowledged: 0,
            consumers: Some(0),
            growth: Some(0.5),
        };
        let report = report(&[("asia", Ok(vec![queue]))], &mut History::default());
        let json = serde_json::to_value(report).unwrap();
        let text = "queue `orders` in `asia`: keeps growing (3 messages, +0.5/s): no consumers";
        assert_eq!(json["warnings"], serde_json::json!([text]));
        assert_eq!(
            json["diagnostics"],
            serde_json::json!([{
                "code": "FED0402",
                "severity": "warning",
                "place": {"type": "queue", "region": "asia", "name": "orders"},
                "message": "keeps growing (3 messages, +0.5/s)",
                "cause": "no consumers",
                "help": null,
            }])
        );
    }
}
