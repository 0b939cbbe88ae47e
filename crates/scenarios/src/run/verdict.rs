//! What was observed, compared with what is expected.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::proof::{Expectation, LogMatcher};
use fedctl_contract::log::{event, field};
use fedctl_engine::{
    chain::chain,
    endpoint::Answer,
    wait::{Poll, WaitError, poll_until, quiet},
};
use fedctl_model::{
    observed::Resource,
    status::{LinkRef, described},
    topology::RegionName,
};

use super::{Run, Sent, Source};
use crate::log_tail::Entry;

/// How long to watch for a second copy before a message counts as delivered once. A copy that took a second path
/// through the mesh is one hop, a few milliseconds, behind.
const QUIET: Duration = Duration::from_millis(100);

impl Run<'_> {
    /// Waits until every expected line has arrived, and a moment longer for those that must not.
    pub async fn await_logs(&mut self) {
        let deadline = self.deadline;
        let all_there = async || {
            self.logs.read();
            let missing = self
                .expectations
                .iter()
                .find(|expected| count(&self.logs.entries, expected) < expected.times);
            missing.map_or(Poll::Ready(()), |missing| Poll::<(), ()>::Pending(missing.meaning.clone()))
        };
        let arrived = poll_until(deadline, all_there, |_| {}).await.is_ok();
        if arrived {
            let logs = &mut self.logs;
            quiet(QUIET, || {
                let before = logs.entries.len();
                logs.read();
                logs.entries.len() != before
            })
            .await;
        }
        let expectations = std::mem::take(&mut self.expectations);
        self.observe_expected(&expectations);
        self.judge(&expectations).await;
    }

    /// Waits until a service returns this, in every region that has it.
    pub async fn await_answer(&mut self, path: &str, expected: &Value, cause: usize, source: &Source) {
        let reader = source.reader.name();
        let endpoints = self.environment.endpoints.iter().filter(|((_, service), _)| *service == reader);
        let answers = endpoints.map(async |((region, _), endpoint)| {
            let poll = async || match endpoint.get(path).await {
                Ok(Answer { status: 200, body: Some(body), .. }) if body == *expected => {
                    Poll::Ready(jiff::Timestamp::now())
                }
                Ok(Answer { status, body, .. }) => {
                    Poll::<_, ()>::Pending(format!("{status} {}", body.unwrap_or_default()))
                }
                Err(error) => Poll::Pending(chain(&error)),
            };
            (region.clone(), poll_until(self.deadline, poll, |_| {}).await)
        });
        let mut missing: BTreeMap<RegionName, String> = BTreeMap::new();
        for (region, found) in futures_util::future::join_all(answers).await {
            match found {
                Ok(at) => self.observe(at, &region, format!("GET {path} returns it"), None, Some(cause)),
                Err(WaitError::TimedOut(last)) => {
                    missing.insert(region, last.unwrap_or_else(|| "no answer".into()));
                }
                Err(WaitError::Aborted(())) => {}
            }
        }
        for (region, last) in missing {
            let suspects = self.suspects_of_reading(&region, cause, source).await;
            self.fail(format!("GET {path} in `{region}` does not return it: {last}"), suspects);
        }
    }

    async fn suspects_of_reading(&self, region: &RegionName, cause: usize, source: &Source) -> Vec<String> {
        let mut suspects = Vec::new();
        let exchange = Resource::Exchange(source.exchange.into());
        if let Some(link) = LinkRef::between(&self.sent[cause].region, region, exchange) {
            suspects.push(described(&link, &self.links().await));
        }
        suspects.push(self.service_state(region, source.writer.name()).await);
        suspects
    }

    fn observe_expected(&mut self, expectations: &[Expectation]) {
        for expected in expectations {
            let found: Vec<_> = matching(&self.logs.entries, expected)
                .map(|entry| {
                    let hops = entry.fields.get(field::HOPS).and_then(Value::as_array);
                    let via = hops.and_then(|hops| hops.last()).and_then(Value::as_str);
                    let via = via.map(|via| format!(", came from {via}")).unwrap_or_default();
                    (entry.at, entry.region.clone(), format!("{}{via}", expected.meaning))
                })
                .collect();
            for (at, region, what) in found {
                self.observe(at, &region, what, None, Some(expected.cause));
            }
        }
    }

    async fn judge(&mut self, expectations: &[Expectation]) {
        let wrong = |expected: &&Expectation| count(&self.logs.entries, expected) != expected.times;
        let wrong: Vec<&Expectation> = expectations.iter().filter(wrong).collect();
        if wrong.is_empty() {
            return;
        }
        let links = self.links().await;
        for expected in wrong {
            let found = count(&self.logs.entries, expected);
            let Sent { region, what, id, .. } = &self.sent[expected.cause];
            let place = expected.region.as_ref().map_or("some region".into(), |found| format!("`{found}`"));
            let missing = format!(
                "`{}` in {place} {} {found} times, not {}, after {what} in `{region}`",
                expected.service, expected.meaning, expected.times
            );
            let mut suspects: Vec<String> =
                expected.link.iter().map(|link| described(link, &links)).collect();
            let mut homes = self.environment.regions_of(&expected.service);
            homes.retain(|home| expected.region.as_ref().is_none_or(|region| region == home));
            for home in homes {
                suspects.push(self.service_state(&home, &expected.service).await);
            }
            suspects.extend(id.iter().flat_map(|id| dead_lettered(&self.logs.entries, id)));
            self.fail(missing, suspects);
        }
    }
}

fn matching<'e>(entries: &'e [Entry], expected: &'e Expectation) -> impl Iterator<Item = &'e Entry> {
    let Expectation { region, service, line, .. } = expected;
    entries.iter().filter(move |entry| {
        region.as_ref().is_none_or(|region| entry.region == *region)
            && entry.service == *service
            && line.matches(&entry.fields)
    })
}

/// Services that logged a dead-lettered message.
fn dead_lettered(entries: &[Entry], id: &str) -> Vec<String> {
    let line = LogMatcher::about(&[event::DEAD_LETTERED], id);
    let text = |entry: &Entry, field: &str| {
        entry.fields.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let lines = entries.iter().filter(|entry| line.matches(&entry.fields)).map(|entry| {
        let (service, region) = (&entry.service, &entry.region);
        let (queue, reason) = (text(entry, field::DEAD_LETTER_QUEUE), text(entry, field::REASON));
        format!("service {service} in `{region}` dead-lettered it to queue `{queue}`: {reason}")
    });
    lines.collect()
}

fn count(entries: &[Entry], expected: &Expectation) -> usize {
    matching(entries, expected).count()
}
