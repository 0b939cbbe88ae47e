//! The engine's clock, against this machine's.

use jiff::{SignedDuration, Timestamp};

use super::{Engine, EngineError, Operation, Result};

/// By how much an engine's clock is ahead of this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    ahead: SignedDuration,
    /// By how much that may be wrong, either way.
    error: SignedDuration,
}

impl Clock {
    /// From a question and its answer. A clock that showed a time between them is this machine's.
    fn measured(asked: Timestamp, shown: Timestamp, answered: Timestamp) -> Self {
        if (asked..=answered).contains(&shown) {
            return Self { ahead: SignedDuration::ZERO, error: SignedDuration::ZERO };
        }
        let error = answered.duration_since(asked) / 2;
        Self { ahead: shown.duration_since(asked + error), error }
    }

    /// Seconds by which the engine's clock is ahead.
    #[must_use]
    pub fn seconds_ahead(&self) -> f64 {
        self.ahead.as_secs_f64()
    }

    /// What this machine's clock showed when the engine's showed `there`.
    #[must_use]
    pub fn here(&self, there: Timestamp) -> Timestamp {
        there.saturating_sub(self.ahead).unwrap_or(there)
    }

    /// What the engine's clock showed, at the earliest, when this machine's showed `here`.
    #[must_use]
    pub fn there(&self, here: Timestamp) -> Timestamp {
        here.saturating_add(self.ahead - self.error).unwrap_or(here)
    }
}

impl Engine {
    /// Asks the engine for its time. If it does not report that, its clock is assumed to be this machine's.
    pub async fn clock(&self) -> Result<Clock> {
        let asked = Timestamp::now();
        let info = self.docker.info().await;
        let info = info.map_err(|source| EngineError::new(Operation::Inspect, "engine", source))?;
        let shown = info.system_time.and_then(|shown| shown.parse().ok());
        Ok(Clock::measured(asked, shown.unwrap_or(asked), Timestamp::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    #[test]
    fn times_of_a_clock_that_is_ahead_or_behind_are_converted() {
        for (shown, ahead) in [(301, 300), (-299, -300)] {
            let clock = Clock::measured(at(0), at(shown), at(2));
            assert_eq!(clock.here(at(10 + ahead)), at(10));
            assert_eq!(clock.there(at(10)), at(10 + ahead - 1), "no later than it can have been");
        }
    }

    #[test]
    fn a_clock_that_agrees_as_far_as_can_be_seen_is_the_same() {
        let clock = Clock::measured(at(0), at(2), at(2));
        assert_eq!((clock.here(at(10)), clock.there(at(10))), (at(10), at(10)));
    }
}
