//! How an error becomes an outcome, a message and a hint.

use std::{borrow::Cow, collections::BTreeSet};

use crate::output::{self, Output};
use fedctl_engine::{
    apply::{Report, StepError},
    chain::chain,
    docker::{EngineError, Problem},
    executable::ExecutableError,
    up::UpError,
    workdir::WorkdirError,
};
use fedctl_model::{counted::counted, outcome::Outcome};

/// Why a command failed, its exit code, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    outcome: Outcome,
    error: anyhow::Error,
    hint: Option<String>,
}

impl Failure {
    pub fn new(outcome: Outcome, error: anyhow::Error) -> Self {
        Self { outcome, error, hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Why, without what to do about it.
    pub fn cause(&self) -> String {
        chain(self.error.as_ref())
    }

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
        let (outcome, hint) = (engine_outcome(&error), error.hint());
        Self { outcome, error: error.into(), hint: hint.map(Cow::into_owned) }
    }
}

fn engine_outcome(error: &EngineError) -> Outcome {
    match error.problem() {
        Problem::Unreachable | Problem::Elsewhere => Outcome::Unreachable,
        Problem::Forbidden => Outcome::NotPermitted,
        Problem::Address => Outcome::Usage,
        Problem::TooOld
        | Problem::NotFound
        | Problem::RemovalInProgress
        | Problem::Running
        | Problem::PortTaken
        | Problem::DiskFull
        | Problem::OpenFilesLimit
        | Problem::NoAddressPool
        | Problem::Other => Outcome::Failed,
    }
}

impl From<ExecutableError> for Failure {
    fn from(error: ExecutableError) -> Self {
        Self::new(Outcome::Failed, error.into()).hint(
            "set `service-image` in the topology to an image of the built-in services; scripts/service-image.sh makes one",
        )
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
                "make the topology's directory writable for this user, or move the topology",
            ),
            WorkdirError::Io { .. } => {
                (Outcome::Failed, "make the topology's directory writable, and free some disk space")
            }
            WorkdirError::Malformed { .. } => (
                Outcome::Failed,
                "remove the file; `fedctl up` makes it anew, and passwords that were in it are replaced everywhere",
            ),
        };
        Self::new(outcome, error.into()).hint(hint)
    }
}

/// After an interrupt or a failure another `up` finishes what was started.
const RESUME: &str =
    "completed steps are kept: run `fedctl up` again to continue, or `fedctl down` to remove them";

impl Failure {
    /// A failure of `up`; some regions may be up nevertheless.
    pub fn of_up(error: UpError, interrupted: Outcome, output: Output) -> Self {
        match error {
            UpError::Engine(error) => error.into(),
            UpError::Workdir(error) => error.into(),
            UpError::Blocked(ref blocked) => {
                output.message(&output::plan::blocked(blocked));
                Self::new(Outcome::Failed, error.into())
            }
            UpError::Steps(report) => Self::of_report(report, interrupted, output),
            UpError::Moved => {
                Self::new(Outcome::Failed, error.into()).hint("`fedctl plan` shows what is to be done now")
            }
            UpError::Unsettled(_) => {
                Self::new(Outcome::Failed, error.into()).hint("see `fedctl logs` for the brokers' output")
            }
            UpError::Links { .. } => Self::new(Outcome::TimedOut, error.into())
                .hint("`fedctl status` shows every link; running `fedctl up` again is safe"),
            UpError::Degraded(ref found) => {
                let hint = found.iter().find_map(|found| found.help.clone());
                let hint = hint.unwrap_or_else(|| "`fedctl status` shows every link".into());
                let codes: BTreeSet<String> = found.iter().map(|found| found.code.to_string()).collect();
                let codes = codes.into_iter().collect::<Vec<_>>().join(", ");
                Self::new(Outcome::Degraded, error.into()).hint(format!("{hint} (fedctl explain {codes})"))
            }
            UpError::Interrupted => Self::new(interrupted, error.into()).hint(RESUME),
        }
    }

    /// The failed steps of a plan, grouped by their error.
    pub fn of_report(report: Report, interrupted: Outcome, output: Output) -> Self {
        let Report { done, failures, skipped, interrupted: is_interrupted, partly } = report;
        if is_interrupted {
            let error =
                anyhow::anyhow!("interrupted: {} completed, {skipped} not started", counted(done, "step"));
            return Self::new(interrupted, error).hint(RESUME);
        }
        let outcome = failures.first().map_or(Outcome::Failed, |(_, error)| outcome_of(error, partly));
        let hint = failures.iter().find_map(|(_, error)| error.hint());
        let mut grouped: Vec<(String, Vec<String>)> = Vec::new();
        for (subject, error) in failures {
            let error = chain(&error);
            match grouped.iter_mut().find(|(known, _)| *known == error) {
                Some((_, subjects)) => subjects.push(subject),
                None => grouped.push((error, vec![subject])),
            }
        }
        let mut errors =
            grouped.into_iter().map(|(error, subjects)| anyhow::anyhow!("{}: {error}", subjects.join(", ")));
        // the first cause is the last thing printed: what failed after it may have failed because of it
        let first = errors.next().unwrap_or_else(|| anyhow::anyhow!("some steps failed"));
        for error in errors {
            output.message(&output::failure::render(&error, None));
        }
        let steps = format!("{} completed, {skipped} skipped after failures", counted(done, "step"));
        let hint = hint.unwrap_or(Cow::Borrowed(RESUME));
        Self::new(outcome, first).hint(format!("{hint}; {steps}"))
    }
}

fn outcome_of(error: &StepError, partly: bool) -> Outcome {
    if error.is_timeout() {
        return Outcome::TimedOut;
    }
    if error.is_elsewhere() {
        return Outcome::Unreachable;
    }
    let outcome = error.engine().map_or(Outcome::Failed, engine_outcome);
    if outcome == Outcome::Failed && partly { Outcome::Partly } else { outcome }
}
