//! What came of the topology's own tests.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    diagnostic::Diagnostic,
    observed::Resource,
    topology::{RegionName, Test},
};

/// The version of the JSON format. Within a version, fields are only added.
const FORMAT_VERSION: u32 = 1;

/// Everything that `fedctl test` reports.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TestsReport {
    /// The version of this format.
    pub version: u32,
    /// The project.
    pub project: String,
    /// Whether every test passed.
    pub passed: bool,
    /// How long all of them took.
    pub seconds: f64,
    /// The tests, in the order of the file.
    pub tests: Vec<TestReport>,
    /// What could not be removed.
    pub warnings: Vec<Diagnostic>,
}

/// What came of a test.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// Whether it passed.
    pub state: TestState,
    /// How long it took.
    pub seconds: f64,
    /// How many messages were published.
    pub published: usize,
    /// What arrived, wherever the test looked.
    pub arrivals: Vec<Arrival>,
    /// What is wrong; empty if it passed.
    pub failures: Vec<Failure>,
}

/// Whether a test passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TestState {
    /// Everything arrived, once, and nothing anywhere else.
    Passed,
    /// Something else came of it.
    Failed,
    /// It could not be run: nothing was published.
    NotRun,
}

/// What arrived in one place.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Arrival {
    /// The region.
    pub region: RegionName,
    /// The exchange or queue.
    pub resource: Resource,
    /// How many were expected; null where they were published.
    pub expected: Option<usize>,
    /// How many different messages arrived.
    pub arrived: usize,
    /// How many arrived besides the first of each.
    pub copies: usize,
    /// Milliseconds from the beginning of publishing to the last arrival.
    pub last_ms: Option<f64>,
}

/// Something that is not as a test expects it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Failure {
    /// What was expected and what was found.
    pub message: String,
    /// What is known of the links and regions involved.
    pub causes: Vec<String>,
}

/// The JSON schema of a [`TestsReport`], for programs that read it.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(TestsReport).to_value()
}

impl TestsReport {
    /// Everything that came of the tests of a project in so many seconds.
    #[must_use]
    pub fn of(project: &str, tests: Vec<TestReport>, warnings: Vec<Diagnostic>, seconds: f64) -> Self {
        let passed = tests.iter().all(|test| test.state == TestState::Passed);
        Self { version: FORMAT_VERSION, project: project.to_owned(), passed, seconds, tests, warnings }
    }

    /// How many tests are in a state.
    #[must_use]
    pub fn count(&self, state: TestState) -> usize {
        self.tests.iter().filter(|test| test.state == state).count()
    }
}

impl TestReport {
    /// A test that published this many messages, which arrived here.
    #[must_use]
    pub fn of(
        test: &Test,
        published: usize,
        arrivals: Vec<Arrival>,
        failures: Vec<Failure>,
        seconds: f64,
    ) -> Self {
        let state = if failures.is_empty() { TestState::Passed } else { TestState::Failed };
        Self { name: test.name.clone(), state, seconds, published, arrivals, failures }
    }

    /// A test that published nothing, for these reasons.
    #[must_use]
    pub fn not_run(test: &Test, reasons: Vec<String>, seconds: f64) -> Self {
        let failure = |message| Failure { message, causes: Vec::new() };
        let failures = reasons.into_iter().map(failure).collect();
        Self { state: TestState::NotRun, ..Self::of(test, 0, Vec::new(), failures, seconds) }
    }
}
