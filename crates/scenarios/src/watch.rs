//! A scenario under way: what was sent, what is expected, what has come.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    Stage,
    journal::{Entry, Journal},
    request::Request,
};
use fedctl_engine::{
    chain::chain,
    endpoint::Answer,
    wait::{Poll, WaitError, poll_until},
};
use fedctl_model::{
    observed::Resource,
    proof::{Expectation, Failure, Told, Way, about},
    status::LinkStatus,
    topology::{RegionName, Topology},
};

/// How long nothing more may come before "once" is believed. A message that took a second way through the
/// mesh is behind the first by one hop, a few milliseconds.
const QUIET: Duration = Duration::from_millis(100);

/// What a region's service answers from, and how that gets there.
pub struct Source {
    /// The service that answers.
    pub front: &'static str,
    /// The service that writes what it answers.
    pub writer: &'static str,
    /// The exchange that brings it from other regions.
    pub exchange: &'static str,
}

/// Something that was sent.
struct Sent {
    region: RegionName,
    what: String,
    at: jiff::Timestamp,
    id: Option<String>,
}

/// What was asked of a service, and its answer.
pub struct Asked {
    /// The index of what was sent.
    pub cause: usize,
    /// The correlation id, where the service gives one.
    pub id: Option<String>,
    /// The answer's body.
    pub body: Value,
}

impl Asked {
    /// That some service says so of it, once, in whichever region. Of what has no correlation id nothing is said.
    pub fn told_by(
        &self,
        service: &str,
        events: &'static [&'static str],
        meaning: impl Into<String>,
    ) -> Option<Expectation> {
        Some(Expectation {
            line: about(events, self.id.as_ref()?),
            meaning: meaning.into(),
            times: 1,
            way: None,
            cause: self.cause,
            region: None,
            service: service.into(),
        })
    }
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

    /// The regions that have a service, in the order of the file.
    pub fn regions_of(&self, service: &str) -> Vec<RegionName> {
        self.stage.regions_of(service)
    }

    /// Asks a region's service, which must answer with this status; nothing where it did not.
    pub async fn ask(
        &mut self,
        (region, service): (&RegionName, &str),
        path: &str,
        request: Request<'_>,
        status: u16,
    ) -> Option<Asked> {
        let at = jiff::Timestamp::now();
        let what = request.described(path);
        let answer = match self.stage.fronts.get(&(region.clone(), service.to_owned())) {
            None => Err("it publishes no port".to_owned()),
            Some(front) => match request {
                Request::Get => front.get(path).await,
                Request::Post(body) => front.post(path, body).await,
                Request::PostForm(fields) => front.post_form(path, fields).await,
                Request::Delete => front.delete(path).await,
            }
            .map_err(|error| chain(&error)),
        };
        let id = answer.as_ref().ok().and_then(|answer| answer.correlation_id.clone());
        self.told.push((
            at,
            Told { region: region.clone(), what: what.clone(), correlation_id: id, after_ms: None },
        ));
        let problem = match answer {
            Ok(Answer { status: found, body, correlation_id: id }) if found == status => {
                self.sent.push(Sent { region: region.clone(), what, at, id: id.clone() });
                let cause = self.sent.len() - 1;
                return Some(Asked { cause, id, body: body.unwrap_or_default() });
            }
            Ok(Answer { status: found, body, .. }) => {
                format!("answered {found}, not {status}: {}", body.unwrap_or_default())
            }
            Err(error) => error,
        };
        let suspects = vec![self.service_state(region, service).await];
        self.failures.push(Failure { missing: format!("{what} in `{region}`: {problem}"), suspects });
        None
    }

    /// Publishes to a region's broker; the index of what was sent, and its correlation id.
    pub async fn publish(
        &mut self,
        region: &RegionName,
        exchange: &str,
        key: &str,
        body: &str,
    ) -> Option<(usize, String)> {
        let at = jiff::Timestamp::now();
        let id = format!("poison-{}", at.as_microsecond());
        let shown = if exchange.is_empty() { "the default exchange" } else { exchange };
        let what = format!("publish {body} to {shown} with key {key}");
        let published = match self.stage.brokers.get(region) {
            Some(broker) => broker.publish(exchange, key, body, &id).await.map_err(|error| chain(&error)),
            None => Err("the broker does not run".into()),
        };
        self.told.push((
            at,
            Told {
                region: region.clone(),
                what: what.clone(),
                correlation_id: Some(id.clone()),
                after_ms: None,
            },
        ));
        if let Err(problem) = published {
            self.fail(format!("{what} in `{region}`: {problem}"), Vec::new());
            return None;
        }
        self.sent.push(Sent { region: region.clone(), what, at, id: Some(id.clone()) });
        Some((self.sent.len() - 1, id))
    }

    /// Tells what an answer said, now that it has come.
    pub fn note(&mut self, region: &RegionName, cause: usize, what: String) {
        let at = jiff::Timestamp::now();
        let after_ms = Some(milliseconds(self.sent[cause].at, at));
        self.told.push((at, Told { region: region.clone(), what, correlation_id: None, after_ms }));
    }

    /// Fails, with what was wrong and who may be at fault.
    pub fn fail(&mut self, missing: String, suspects: Vec<String>) {
        self.failures.push(Failure { missing, suspects });
    }

    /// Adds links to those that may be at fault for the last failure.
    pub async fn suspect(&mut self, ways: impl IntoIterator<Item = Way>) {
        let links = self.links().await;
        if let Some(failure) = self.failures.last_mut() {
            failure.suspects.extend(ways.into_iter().map(|way| way.described(&links)));
        }
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
            missing.map_or(Poll::Ready(()), |missing| Poll::<(), ()>::Pending(missing.meaning.clone()))
        };
        let arrived = poll_until(deadline, all_there, |_| {}).await.is_ok();
        if arrived {
            let journal = &mut self.journal;
            fedctl_engine::wait::quiet(QUIET, || {
                let before = journal.entries.len();
                journal.read();
                journal.entries.len() != before
            })
            .await;
        }
        self.tell();
        self.judge().await;
    }

    /// Waits until a service answers so, in every region that has it.
    pub async fn readable(&mut self, path: &str, expected: &Value, cause: usize, source: &Source) {
        let sent = self.sent[cause].at;
        let fronts = self.stage.fronts.iter().filter(|((_, service), _)| *service == source.front);
        let looks = fronts.map(async |((region, _), endpoint)| {
            let look = async || match endpoint.get(path).await {
                Ok(Answer { status: 200, body: Some(body), .. }) if body == *expected => {
                    Poll::Ready(jiff::Timestamp::now())
                }
                Ok(Answer { status, body, .. }) => {
                    Poll::<_, ()>::Pending(format!("{status} {}", body.unwrap_or_default()))
                }
                Err(error) => Poll::Pending(chain(&error)),
            };
            (region.clone(), poll_until(self.deadline, look, |_| {}).await)
        });
        let mut missing: BTreeMap<RegionName, String> = BTreeMap::new();
        for (region, found) in futures_util::future::join_all(looks).await {
            match found {
                Ok(at) => {
                    let after_ms = Some(milliseconds(sent, at));
                    self.told.push((
                        at,
                        Told {
                            region,
                            what: format!("GET {path} answers it"),
                            correlation_id: None,
                            after_ms,
                        },
                    ));
                }
                Err(WaitError::TimedOut(last)) => {
                    missing.insert(region, last.unwrap_or_else(|| "no answer".into()));
                }
                Err(WaitError::Aborted(())) => {}
            }
        }
        for (region, last) in missing {
            self.unreadable(path, &region, &last, cause, source).await;
        }
    }

    async fn unreadable(
        &mut self,
        path: &str,
        region: &RegionName,
        last: &str,
        cause: usize,
        source: &Source,
    ) {
        let origin = self.sent[cause].region.clone();
        let mut suspects = Vec::new();
        if origin != *region {
            let resource = Resource::Exchange(source.exchange.into());
            let way = Way { upstream: origin, downstream: region.clone(), resource };
            suspects.push(way.described(&self.links().await));
        }
        suspects.push(self.service_state(region, source.writer).await);
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
                self.told.push((
                    entry.at,
                    Told { region: entry.region.clone(), what, correlation_id: None, after_ms },
                ));
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
            let Sent { region, what, id, .. } = &self.sent[expected.cause];
            let place = expected.region.as_ref().map_or("some region".into(), |found| format!("`{found}`"));
            let missing = format!(
                "`{}` in {place} {} {seen} times, not {}, after {what} in `{region}`",
                expected.service, expected.meaning, expected.times
            );
            let mut suspects: Vec<String> = expected.way.iter().map(|way| way.described(&links)).collect();
            let homes = self.stage.regions_of(&expected.service);
            for home in
                homes.iter().filter(|home| expected.region.as_ref().is_none_or(|region| region == *home))
            {
                suspects.push(self.service_state(home, &expected.service).await);
            }
            suspects.extend(id.iter().flat_map(|id| dead_lettered(&self.journal.entries, id)));
            self.failures.push(Failure { missing, suspects });
        }
    }

    async fn links(&self) -> Vec<LinkStatus> {
        self.stage.inspect.links(self.stage.topology, &self.stage.brokers).await.links
    }

    async fn service_state(&self, region: &RegionName, service: &str) -> String {
        let name = fedctl_model::desired::container(&self.stage.topology.name, region, service);
        let found = self.stage.inspect.engine.liveness(&name).await;
        let state = match found {
            Ok(found) if found.running => "runs",
            Ok(_) => "does not run",
            Err(_) => "has no container",
        };
        format!("service {service} in `{region}`: {state}")
    }
}

fn matching<'e>(entries: &'e [Entry], expected: &Expectation) -> impl Iterator<Item = &'e Entry> {
    let Expectation { region, service, line, .. } = expected.clone();
    entries.iter().filter(move |entry| {
        region.as_ref().is_none_or(|region| entry.region == *region)
            && entry.service == service
            && line.matches(&entry.fields)
    })
}

/// What services log of a message that they dead-lettered.
fn dead_lettered(entries: &[Entry], id: &str) -> Vec<String> {
    let lines = entries.iter().filter(|entry| {
        entry.fields.get("event").is_some_and(|event| event == "dead_lettered")
            && entry.fields.get("correlation_id").is_some_and(|found| found == id)
    });
    let text = |entry: &Entry, field: &str| {
        entry.fields.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let told = lines.map(|entry| {
        let (service, region) = (&entry.service, &entry.region);
        let (queue, reason) = (text(entry, "dead_letter_queue"), text(entry, "reason"));
        format!("service {service} in `{region}` dead-lettered it to queue `{queue}`: {reason}")
    });
    told.collect()
}

fn count(entries: &[Entry], expected: &Expectation) -> usize {
    matching(entries, expected).count()
}

fn milliseconds(from: jiff::Timestamp, to: jiff::Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1000.0
}
