//! How a command ended, and the number a shell sees.

use crate::status::Verdict;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything asked for is done.
    Done,
    /// It failed.
    Failed,
    /// There are changes to make, and the exit code was to report it.
    Changes,
    /// Some regions are done and others are not.
    Partly,
    /// A link is down, missing or unexpected, or a broker does not answer.
    Degraded,
    /// A scenario failed.
    ScenarioFailed,
    /// The command line is wrong.
    Usage,
    /// The topology is invalid.
    InvalidTopology,
    /// The engine or a broker cannot be reached.
    Unreachable,
    /// Another fedctl holds the lock.
    Locked,
    /// Time ran out; running it again is safe.
    TimedOut,
    /// The engine or the file system does not permit it.
    NotPermitted,
    /// Interrupted by Ctrl-C.
    Interrupted,
    /// Terminated by SIGTERM.
    Terminated,
    /// It checked the status for a monitor, which knows other exit codes.
    Checked(Verdict),
}

impl Outcome {
    /// The exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Changes => 2,
            Outcome::Partly => 3,
            Outcome::Degraded => 4,
            Outcome::ScenarioFailed => 5,
            Outcome::Usage => 64,
            Outcome::InvalidTopology => 65,
            Outcome::Unreachable => 69,
            Outcome::Locked => 73,
            Outcome::TimedOut => 75,
            Outcome::NotPermitted => 77,
            Outcome::Interrupted => 130,
            Outcome::Terminated => 143,
            Outcome::Checked(verdict) => verdict.code(),
        }
    }
}
