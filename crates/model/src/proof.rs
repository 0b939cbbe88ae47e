//! What a scenario proved, or what it missed.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{observed::Resource, status::LinkStatus, topology::RegionName};

pub use crate::status::LinkRef as Way;
use crate::status::LinkRef;

/// The version of the JSON form. Within it, fields are only added.
pub const FORMAT_VERSION: u32 = 1;

/// Everything that `fedctl demo` reports.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Proofs {
    /// The version of this form.
    pub version: u32,
    /// Whether every scenario passed.
    pub passed: bool,
    /// The scenarios, in the order in which they ran.
    pub scenarios: Vec<Proof>,
}

/// The JSON schema of [`Proofs`], for programs that read it.
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(Proofs).to_value()
}

/// A scenario.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Proof {
    /// Its name.
    pub scenario: String,
    /// What it proves, in a sentence.
    pub claim: String,
    /// Whether everything arrived, once, and nowhere else.
    pub passed: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What was sent and what arrived, in order of time.
    pub story: Vec<Told>,
    /// What did not arrive, or arrived too often; empty where it passed.
    pub failures: Vec<Failure>,
}

/// Something that was sent, or that arrived.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Told {
    /// Where.
    pub region: RegionName,
    /// What.
    pub what: String,
    /// The correlation identifier of what was sent: `fedctl trace` follows it.
    pub correlation_id: Option<String>,
    /// Milliseconds since what caused it was sent.
    pub after_ms: Option<f64>,
}

/// Something that did not happen as it should.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Failure {
    /// What was expected and what was seen.
    pub missing: String,
    /// Who may be at fault: links and services on the way, and how they are.
    pub suspects: Vec<String>,
}

/// A line that a service is expected to log a number of times, within a scenario.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The region of the service; none where it may be any one.
    pub region: Option<RegionName>,
    /// The service.
    pub service: String,
    /// What it says, and about what.
    pub line: Match,
    /// What that means, in words.
    pub meaning: String,
    /// How often; never where it must not.
    pub times: usize,
    /// The way by which the cause comes here from another region.
    pub way: Option<Way>,
    /// Which of the things sent it follows from: an index.
    pub cause: usize,
}

/// A log line, by its event and fields.
#[derive(Debug, Clone)]
pub struct Match {
    /// The events, any of which will do.
    pub events: &'static [&'static str],
    /// Fields that must have these values.
    pub fields: Vec<(&'static str, Value)>,
}

impl Match {
    /// Whether a log line is such a line.
    #[must_use]
    pub fn matches(&self, line: &Map<String, Value>) -> bool {
        line.get("event").is_some_and(|found| self.events.iter().any(|event| found == event))
            && self.fields.iter().all(|(field, value)| line.get(*field) == Some(value))
    }
}

impl LinkRef {
    /// This link in words, with its state and what waits for it.
    #[must_use]
    pub fn described(&self, links: &[LinkStatus]) -> String {
        let Some(found) = links.iter().find(|found| found.link == *self) else {
            return format!("link {self}: not reported by the broker of `{}`", self.downstream);
        };
        let reported = if found.is_running() { "reported as " } else { "" };
        let condition = &found.condition;
        let waiting = found.waiting.filter(|waiting| *waiting > 0).map_or_else(String::new, |waiting| {
            format!(", {waiting} messages wait for it on `{}`", self.upstream)
        });
        format!("link {self}: {reported}{condition}{waiting}")
    }
}

/// The lines of these events about a request: those with its correlation id.
#[must_use]
pub fn about(events: &'static [&'static str], id: &str) -> Match {
    Match { events, fields: vec![("correlation_id", id.into())] }
}

/// The fields by which a service's line is recognised: the correlation id, or these where the service that
/// was asked gave none.
#[must_use]
pub fn recognised(
    events: &'static [&'static str],
    id: Option<&String>,
    otherwise: &[(&'static str, Value)],
) -> Match {
    match id {
        Some(id) => about(events, id),
        None => Match { events, fields: otherwise.to_vec() },
    }
}

/// The link by which something comes from one region to another.
#[must_use]
pub fn way(upstream: &RegionName, downstream: &RegionName, resource: Resource) -> Option<Way> {
    (upstream != downstream).then(|| Way {
        upstream: upstream.clone(),
        downstream: downstream.clone(),
        resource,
    })
}
