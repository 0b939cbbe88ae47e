//! A scenario under way: what was sent, what is expected, what has come.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    Stage,
    journal::{Entry, Journal},
};
use crate::{
    collect,
    endpoint::Answer,
    proof::{Expectation, Failure, Match, Told, Way},
    status::{self, LinkStatus},
    topology::{RegionName, Topology},
    wait::{Gave, Look, until},
};

/// How long nothing more may come before "once" is believed. A message that took a second way through the
/// mesh is behind the first by one hop, a few milliseconds.
const QUIET: Duration = Duration::from_millis(100);

/// Something that was sent.
struct Sent {
    region: RegionName,
    what: String,
    at: jiff::Timestamp,
}

/// A scenario under way.
pub struct Watch<'a> {
    stage: &'a Stage<'a>,
    journal: Journal,
    deadline: Instant,
    sent: Vec<Sent>,
    expectations: Vec<Expectation>,
    told: Vec<(jiff::Timestamp, Told)>,
    failures: Vec<Failure>,
}

impl<'a> Watch<'a> {
    pub fn new(stage: &'a Stage<'a>, journal: Journal, deadline: Instant) -> Self {
        let (sent, expectations, told, failures) = Default::default();
        Self { stage, journal, deadline, sent, expectations, told, failures }
    }

    /// The topology.
    pub fn topology(&self) -> &'a Topology {
        self.stage.topology
    }

    /// The regions, in the order of the file.
    pub fn regions(&self) -> Vec<RegionName> {
        self.topology().regions.iter().map(|region| region.name.clone()).collect()
    }

    /// Whether something failed already.
    pub fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Posts to a region's products service. The index of what was sent, and its correlation id where the
    /// service gives one; nothing where the post failed.
    pub async fn post(
        &mut self,
        region: &RegionName,
        path: &str,
        body: &Value,
    ) -> Option<(usize, Option<String>)> {
        let at = jiff::Timestamp::now();
        let what = if body.is_null() { format!("POST {path}") } else { format!("POST {path} {body}") };
        let answer = self.stage.products[region].post(path, body).await;
        self.told.push((at, Told { region: region.clone(), what: what.clone(), after_ms: None }));
        let problem = match answer {
            Ok(answer) if answer.is_success() => {
                self.sent.push(Sent { region: region.clone(), what, at });
                return Some((self.sent.len() - 1, answer.correlation_id));
            }
            Ok(Answer { status, body, .. }) => format!("answered {status} {}", body.unwrap_or_default()),
            Err(error) => error.to_string(),
        };
        let suspects = vec![self.service_state(region, super::scripts::PRODUCTS).await];
        self.failures.push(Failure { missing: format!("{what} in `{region}`: {problem}"), suspects });
        None
    }

    /// Expects a line.
    pub fn expect(&mut self, expectation: Expectation) {
        self.expectations.push(expectation);
    }

    /// Waits until every expected line has come, and a moment longer for those that must not.
    pub async fn lines(&mut self) {
        let deadline = self.deadline;
        let all_there = async || {
            self.journal.read();
            let missing = self
                .expectations
                .iter()
                .find(|expected| count(&self.journal.entries, expected) < expected.times);
            missing.map_or(Look::Done(()), |missing| Look::<(), ()>::NotYet(missing.meaning.clone()))
        };
        let arrived = until(deadline, all_there, |_| {}).await.is_ok();
        if arrived {
            let journal = &mut self.journal;
            crate::wait::quiet(QUIET, || {
                let before = journal.entries.len();
                journal.read();
                journal.entries.len() != before
            })
            .await;
        }
        self.tell();
        self.judge().await;
    }

    /// Waits until a product reads so in every region.
    pub async fn readable(&mut self, product: &Value, cause: usize) {
        let path = format!("/products/{}", product["id"]);
        let sent = self.sent[cause].at;
        let mut missing: BTreeMap<RegionName, String> = BTreeMap::new();
        let looks = self.stage.products.iter().map(async |(region, endpoint)| {
            let look = async || match endpoint.get(&path).await {
                Ok(Answer { status: 200, body: Some(body), .. }) if body == *product => {
                    Look::Done(jiff::Timestamp::now())
                }
                Ok(Answer { status, body, .. }) => {
                    Look::<_, ()>::NotYet(format!("{status} {}", body.unwrap_or_default()))
                }
                Err(error) => Look::NotYet(error.to_string()),
            };
            (region.clone(), until(self.deadline, look, |_| {}).await)
        });
        let mut told = Vec::new();
        for (region, found) in futures_util::future::join_all(looks).await {
            match found {
                Ok(at) => {
                    let after_ms = Some(milliseconds(sent, at));
                    told.push((at, Told { region, what: format!("GET {path} answers it"), after_ms }));
                }
                Err(Gave::Up(last)) => {
                    missing.insert(region, last.unwrap_or_else(|| "no answer".into()));
                }
                Err(Gave::Never(())) => {}
            }
        }
        self.told.extend(told);
        for (region, last) in missing {
            self.unreadable(&path, &region, &last, cause).await;
        }
    }

    async fn unreadable(&mut self, path: &str, region: &RegionName, last: &str, cause: usize) {
        let origin = self.sent[cause].region.clone();
        let mut suspects = Vec::new();
        if origin != *region {
            let resource = crate::observed::Resource::Exchange(super::scripts::PRODUCT_EVENTS.into());
            let way = Way { upstream: origin, downstream: region.clone(), resource };
            suspects.push(way.described(&self.links().await));
        }
        suspects.push(self.service_state(region, super::scripts::INDEXER).await);
        let missing = format!("GET {path} in `{region}` does not answer it: {last}");
        self.failures.push(Failure { missing, suspects });
    }

    /// The story and the failures.
    pub fn end(mut self) -> (Vec<Told>, Vec<Failure>) {
        self.told.sort_by_key(|(at, _)| *at);
        (self.told.into_iter().map(|(_, told)| told).collect(), self.failures)
    }

    fn tell(&mut self) {
        for expected in &self.expectations {
            let sent = self.sent[expected.cause].at;
            for entry in matching(&self.journal.entries, expected) {
                let hops = entry.fields.get("hops").and_then(Value::as_array);
                let via = hops.and_then(|hops| hops.last()).and_then(Value::as_str);
                let via = via.map(|via| format!(", came from {via}")).unwrap_or_default();
                let what = format!("{}{via}", expected.meaning);
                let after_ms = Some(milliseconds(sent, entry.at));
                self.told.push((entry.at, Told { region: entry.region.clone(), what, after_ms }));
            }
        }
    }

    async fn judge(&mut self) {
        let expectations = std::mem::take(&mut self.expectations);
        let wrong = |expected: &&Expectation| count(&self.journal.entries, expected) != expected.times;
        let wrong: Vec<&Expectation> = expectations.iter().filter(wrong).collect();
        if wrong.is_empty() {
            return;
        }
        let links = self.links().await;
        for expected in wrong {
            let seen = count(&self.journal.entries, expected);
            let Sent { region, what, .. } = &self.sent[expected.cause];
            let missing = format!(
                "`{}` in `{}` {} {seen} times, not {}, after {what} in `{region}`",
                expected.service, expected.region, expected.meaning, expected.times
            );
            let mut suspects: Vec<String> = expected.way.iter().map(|way| way.described(&links)).collect();
            suspects.push(self.service_state(&expected.region, &expected.service).await);
            self.failures.push(Failure { missing, suspects });
        }
    }

    async fn links(&self) -> Vec<LinkStatus> {
        let health = collect::health(&self.stage.brokers).await;
        let health =
            health.into_iter().map(|(region, health)| (region, health.map_err(|error| error.to_string())));
        status::links(self.stage.topology, &health.collect())
    }

    async fn service_state(&self, region: &RegionName, service: &str) -> String {
        let name = crate::desired::container(&self.stage.topology.name, region, service);
        let found = self.stage.engine.health(&name, crate::desired::SERVICE_PORT).await;
        let state = match found {
            Ok(health) if health.running => "runs",
            Ok(_) => "does not run",
            Err(_) => "has no container",
        };
        format!("service {service} in `{region}`: {state}")
    }
}

fn matching<'e>(entries: &'e [Entry], expected: &Expectation) -> impl Iterator<Item = &'e Entry> {
    let Expectation { region, service, line, .. } = expected.clone();
    entries.iter().filter(move |entry| {
        entry.region == region && entry.service == service && line.matches(&entry.fields)
    })
}

fn count(entries: &[Entry], expected: &Expectation) -> usize {
    matching(entries, expected).count()
}

fn milliseconds(from: jiff::Timestamp, to: jiff::Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1000.0
}

/// The fields by which a service's line is recognised: the correlation id, or these where the service that
/// was asked gave none.
pub fn recognised(
    events: &'static [&'static str],
    id: Option<&String>,
    otherwise: &[(&'static str, Value)],
) -> Match {
    match id {
        Some(id) => Match { events, fields: vec![("correlation_id", id.as_str().into())] },
        None => Match { events, fields: otherwise.to_vec() },
    }
}
