//! What a scenario proved, or what was missing.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use fedctl_contract::log::field;
use fedctl_model::{status::LinkRef, topology::RegionName};

/// The version of the JSON format. Within a version, fields are only added.
pub const FORMAT_VERSION: u32 = 1;

/// Everything that `fedctl demo` reports.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Proofs {
    /// The version of this format.
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

/// A scenario's result.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Proof {
    pub scenario: String,
    /// What it proves, in a sentence.
    pub claim: String,
    /// Whether everything arrived, once, and nowhere else.
    pub passed: bool,
    /// Duration in seconds.
    pub seconds: f64,
    /// What was sent and what arrived, in order of time.
    #[serde(rename = "story")]
    pub timeline: Vec<Observation>,
    /// What did not arrive, or arrived too often; empty if it passed.
    pub failures: Vec<Failure>,
}

/// Something that was sent, or that arrived.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Observation {
    pub region: RegionName,
    pub what: String,
    /// The correlation identifier of what was sent: `fedctl trace` follows it.
    pub correlation_id: Option<String>,
    /// Milliseconds since what caused it was sent.
    pub after_ms: Option<f64>,
}

/// Something that did not happen as it should.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Failure {
    /// What was expected and what was observed.
    pub missing: String,
    /// The links and services involved, and their state.
    pub suspects: Vec<String>,
}

/// A line that a service is expected to log a number of times, within a scenario.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The region of the service; none if it may be any.
    pub region: Option<RegionName>,
    pub service: String,
    pub line: LogMatcher,
    /// What the line means.
    pub meaning: String,
    /// How often; zero if it must not appear.
    pub times: usize,
    /// The link over which the cause arrives from another region.
    pub link: Option<LinkRef>,
    /// Which of the things sent it follows from: an index.
    pub cause: usize,
}

/// A log line, by its event and fields.
#[derive(Debug, Clone)]
pub struct LogMatcher {
    /// The events, any of which matches.
    pub events: &'static [&'static str],
    /// Fields that must have these values.
    pub fields: Vec<(&'static str, Value)>,
}

impl LogMatcher {
    #[must_use]
    pub fn matches(&self, line: &Map<String, Value>) -> bool {
        line.get(field::EVENT).is_some_and(|found| self.events.iter().any(|event| found == event))
            && self.fields.iter().all(|(field, value)| line.get(*field) == Some(value))
    }

    /// The lines of these events with the correlation identifier of a request.
    #[must_use]
    pub fn about(events: &'static [&'static str], correlation_id: &str) -> Self {
        Self { events, fields: vec![(field::CORRELATION_ID, correlation_id.into())] }
    }

    /// The lines of these events with a correlation identifier, or with these fields if the service that was asked
    /// gave none.
    #[must_use]
    pub fn identified(
        events: &'static [&'static str],
        correlation_id: Option<&str>,
        otherwise: &[(&'static str, Value)],
    ) -> Self {
        match correlation_id {
            Some(id) => Self::about(events, id),
            None => Self { events, fields: otherwise.to_vec() },
        }
    }
}
