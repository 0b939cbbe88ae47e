//! A scenario while it runs: what was sent, what is expected, what was observed.

mod verdict;

use serde_json::Value;
use tokio::time::Instant;

use crate::proof::{Expectation, Failure, LogMatcher, Observation};
use fedctl_contract::{http, program::Program};
use fedctl_engine::{chain::chain, endpoint::Answer};
use fedctl_model::{
    names::container,
    status::{History, LinkRef, LinkStatus, described},
    topology::{RegionName, Topology},
};

use super::{environment::Environment, log_tail::LogTail, request::Request};

/// Where a region's answer to a request comes from.
pub struct Source {
    /// The service that answers.
    pub reader: Program,
    /// The service that writes what the reader answers.
    pub writer: Program,
    /// The exchange over which it arrives from other regions.
    pub exchange: &'static str,
}

/// Something that was sent.
struct Sent {
    region: RegionName,
    what: String,
    at: jiff::Timestamp,
    id: Option<String>,
}

/// A service's reply to a request.
pub struct Reply {
    /// The index of what was sent.
    pub cause: usize,
    /// The correlation identifier, if the service returns one.
    pub id: Option<String>,
    pub body: Value,
}

impl Reply {
    /// That a service logs one of these events about the request, once, in any region. Without a correlation identifier
    /// nothing can be expected.
    pub fn expect_from(
        &self,
        service: Program,
        events: &'static [&'static str],
        meaning: impl Into<String>,
    ) -> Option<Expectation> {
        Some(Expectation {
            line: LogMatcher::about(events, self.id.as_ref()?),
            meaning: meaning.into(),
            times: 1,
            link: None,
            cause: self.cause,
            region: None,
            service: service.name().into(),
        })
    }
}

/// A scenario while it runs.
pub struct Run<'a> {
    environment: &'a Environment<'a>,
    logs: LogTail,
    deadline: Instant,
    sent: Vec<Sent>,
    expectations: Vec<Expectation>,
    timeline: Vec<(jiff::Timestamp, Observation)>,
    failures: Vec<Failure>,
}

impl<'a> Run<'a> {
    pub fn new(environment: &'a Environment<'a>, logs: LogTail, deadline: Instant) -> Self {
        Self {
            environment,
            logs,
            deadline,
            sent: Vec::new(),
            expectations: Vec::new(),
            timeline: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub fn topology(&self) -> &'a Topology {
        self.environment.topology
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
    pub fn regions_of(&self, service: Program) -> Vec<RegionName> {
        self.environment.regions_of(service.name())
    }

    /// Sends a request to a region's service, which must answer with this status; nothing if it did not.
    pub async fn request(
        &mut self,
        (region, service): (&RegionName, Program),
        path: &str,
        request: Request<'_>,
        status: u16,
    ) -> Option<Reply> {
        let at = jiff::Timestamp::now();
        let what = request.described(path);
        let answer = match self.environment.endpoints.get(&(region.clone(), service.name().to_owned())) {
            None => Err("it publishes no port".to_owned()),
            Some(endpoint) => request.send(endpoint, path).await.map_err(|error| chain(&error)),
        };
        let id =
            answer.as_ref().ok().and_then(|answer| answer.header(http::CORRELATION_ID).map(str::to_owned));
        self.observe(at, region, what.clone(), id.clone(), None);
        let problem = match answer {
            Ok(Answer { status: found, body, .. }) if found == status => {
                let cause = self.remember(Sent { region: region.clone(), what, at, id: id.clone() });
                return Some(Reply { cause, id, body: body.unwrap_or_default() });
            }
            Ok(Answer { status: found, body, .. }) => {
                format!("answered {found}, not {status}: {}", body.unwrap_or_default())
            }
            Err(error) => error,
        };
        let suspects = vec![self.service_state(region, service.name()).await];
        self.fail(format!("{what} in `{region}`: {problem}"), suspects);
        None
    }

    /// Publishes to a region's broker; the index of what was sent, and its correlation identifier.
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
        let published = match self.environment.brokers.get(region) {
            Some(broker) => broker.publish(exchange, key, body, &id).await.map_err(|error| chain(&error)),
            None => Err("the broker does not run".into()),
        };
        self.observe(at, region, what.clone(), Some(id.clone()), None);
        if let Err(problem) = published {
            self.fail(format!("{what} in `{region}`: {problem}"), Vec::new());
            return None;
        }
        let cause = self.remember(Sent { region: region.clone(), what, at, id: Some(id.clone()) });
        Some((cause, id))
    }

    fn remember(&mut self, sent: Sent) -> usize {
        self.sent.push(sent);
        self.sent.len() - 1
    }

    /// Adds the content of an answer to the timeline.
    pub fn record(&mut self, region: &RegionName, cause: usize, what: String) {
        self.observe(jiff::Timestamp::now(), region, what, None, Some(cause));
    }

    fn observe(
        &mut self,
        at: jiff::Timestamp,
        region: &RegionName,
        what: String,
        correlation_id: Option<String>,
        cause: Option<usize>,
    ) {
        // a line may seem older than its cause by what the engine's clock could not be measured to
        let since = |cause: usize| (at.duration_since(self.sent[cause].at).as_secs_f64() * 1000.0).max(0.0);
        let after_ms = cause.map(since);
        self.timeline.push((at, Observation { region: region.clone(), what, correlation_id, after_ms }));
    }

    /// Records a failure, with the links and services that may be the cause.
    pub fn fail(&mut self, missing: String, suspects: Vec<String>) {
        self.failures.push(Failure { missing, suspects });
    }

    /// Adds links to the possible causes of the last failure.
    pub async fn suspect(&mut self, suspected: impl IntoIterator<Item = LinkRef>) {
        let links = self.links().await;
        if let Some(failure) = self.failures.last_mut() {
            failure.suspects.extend(suspected.into_iter().map(|link| described(&link, &links)));
        }
    }

    /// Expects a line.
    pub fn expect(&mut self, expectation: Expectation) {
        self.expectations.push(expectation);
    }

    /// The timeline and the failures.
    pub fn finish(mut self) -> (Vec<Observation>, Vec<Failure>) {
        self.timeline.sort_by_key(|(at, _)| *at);
        (self.timeline.into_iter().map(|(_, observation)| observation).collect(), self.failures)
    }

    /// Adds brokers that do not answer, or take no messages, to the possible causes of every failure.
    pub async fn suspect_brokers(&mut self) {
        let Environment { inspect, topology, remembered, .. } = self.environment;
        let Ok(status) = inspect.status(topology, remembered, &History::of(&topology.name)).await else {
            return;
        };
        let brokers: Vec<String> = status.brokers_in_trouble().iter().map(ToString::to_string).collect();
        for failure in &mut self.failures {
            failure.suspects.extend(brokers.iter().cloned());
        }
    }

    /// The links; none if the engine does not answer.
    async fn links(&self) -> Vec<LinkStatus> {
        let Environment { inspect, topology, remembered, .. } = self.environment;
        inspect
            .status(topology, remembered, &History::of(&topology.name))
            .await
            .map_or_else(|_| Vec::new(), |status| status.links)
    }

    async fn service_state(&self, region: &RegionName, service: &str) -> String {
        let name = container(&self.topology().name, region, service);
        let state = match self.environment.inspect.engine.liveness(&name).await {
            Ok(found) if found.running => "runs",
            Ok(_) => "does not run",
            Err(_) => "has no container",
        };
        format!("service {service} in `{region}`: {state}")
    }
}
