//! How an error becomes an outcome, a message and a hint.

use std::collections::BTreeMap;

use crate::output::{self, Output};
use fedctl_engine::{
    apply::{Report, StepError},
    docker::EngineError,
    up::UpError,
    workdir::WorkdirError,
};
use fedctl_model::outcome::Outcome;

/// A command that did not do what it was asked for.
#[derive(Debug)]
pub struct Failure {
    outcome: Outcome,
    error: anyhow::Error,
    hint: Option<String>,
}

impl Failure {
    /// A failure with its outcome.
    pub fn new(outcome: Outcome, error: anyhow::Error) -> Self {
        Self { outcome, error, hint: None }
    }

    /// With what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it.
    pub fn print(self, output: Output) -> Outcome {
        output.message(&output::failure::render(&self.error, self.hint.as_deref()));
        self.outcome
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Outcome::Failed, error.into())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let outcome = engine_outcome(&error);
        let hint = error.hint();
        let failure = Self::new(outcome, error.into());
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

fn engine_outcome(error: &EngineError) -> Outcome {
    if error.is_unreachable() {
        Outcome::Unreachable
    } else if error.is_forbidden() {
        Outcome::NotPermitted
    } else {
        Outcome::Failed
    }
}

impl From<WorkdirError> for Failure {
    fn from(error: WorkdirError) -> Self {
        let (outcome, hint) = match &error {
            WorkdirError::Locked { .. } => {
                (Outcome::Locked, "wait until it has finished, then run this again")
            }
            WorkdirError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => (
                Outcome::NotPermitted,
                "make the topology's directory writable for this user, or move the file",
            ),
            WorkdirError::Io { .. } => {
                (Outcome::Failed, "make the topology's directory writable, with some space left")
            }
            WorkdirError::Malformed { .. } => {
                (Outcome::Failed, "remove the file: `fedctl up` makes new passwords and puts them in force")
            }
        };
        Self::new(outcome, error.into()).hint(hint)
    }
}

/// After an interrupt or a failure everything that was begun can be finished.
const GO_ON: &str = "what was begun is kept: run `fedctl up` again to go on, `fedctl down` to remove it";

impl Failure {
    /// A failure of `up`, some of whose regions may be up all the same.
    pub fn of_up(error: UpError, interrupted: Outcome, output: Output) -> Self {
        match error {
            UpError::Engine(error) => error.into(),
            UpError::Blocked(ref blocked) => {
                output.message(&output::plan::blocked(blocked));
                Self::new(Outcome::Failed, error.into())
            }
            UpError::Steps(report) => Self::of_report(report, interrupted, output),
            UpError::Unsettled => {
                Self::new(Outcome::Failed, error.into()).hint("`fedctl logs` shows what the brokers say")
            }
            UpError::Links { .. } => Self::new(Outcome::TimedOut, error.into())
                .hint("`fedctl status` shows every link; running `fedctl up` again is safe"),
            UpError::Interrupted => Self::new(interrupted, error.into()).hint(GO_ON),
        }
    }

    /// The failed steps of a plan, grouped by what went wrong.
    pub fn of_report(report: Report, interrupted: Outcome, output: Output) -> Self {
        let Report { done, failures, skipped, interrupted: is_interrupted, partly } = report;
        if is_interrupted {
            let error = anyhow::anyhow!("interrupted after {done} steps; {skipped} were not begun");
            return Self::new(interrupted, error).hint(GO_ON);
        }
        let outcome = failures.first().map_or(Outcome::Failed, |(_, error)| outcome_of(error, partly));
        let hint = failures.iter().find_map(|(_, error)| error.engine().and_then(EngineError::hint));
        let mut grouped: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (subject, error) in failures {
            grouped.entry(error.to_string()).or_default().push(subject);
        }
        for (error, subjects) in grouped {
            let error = anyhow::anyhow!("{}: {error}", subjects.join(", "));
            output.message(&output::failure::render(&error, None));
        }
        let error = anyhow::anyhow!("{done} steps are done, {skipped} were not begun since others failed");
        Self::new(outcome, error).hint(hint.unwrap_or(GO_ON))
    }
}

fn outcome_of(error: &StepError, partly: bool) -> Outcome {
    match error {
        error if error.is_timeout() => Outcome::TimedOut,
        error => match error.engine().map(engine_outcome) {
            Some(Outcome::Failed) | None if partly => Outcome::Partly,
            Some(outcome) => outcome,
            None => Outcome::Failed,
        },
    }
}
