//! Polling a condition until it holds or a deadline has passed; the only place that sleeps.
#![expect(clippy::disallowed_methods, reason = "the pause between two polls is here, and nowhere else")]

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Between two polls: the first time, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
const FIRST_RETRY: Duration = Duration::from_millis(50);

/// What a poll found.
#[derive(Debug)]
pub enum Poll<T, E> {
    /// The condition holds.
    Ready(T),
    /// It does not hold yet, and why not.
    Pending(String),
    /// It never will.
    Failed(E),
}

/// Why waiting ended without the condition.
#[derive(Debug)]
pub enum WaitError<E> {
    /// The deadline passed; with the last reason, if any poll gave one.
    TimedOut(Option<String>),
    /// The condition can never hold.
    Aborted(E),
}

/// Polls until the condition holds or the deadline has passed. `on_progress` gets every new reason.
///
/// # Errors
///
/// [`WaitError::TimedOut`] at the deadline, [`WaitError::Aborted`] as soon as a poll fails.
pub async fn poll_until<T, E>(
    deadline: Instant,
    mut poll: impl AsyncFnMut() -> Poll<T, E>,
    mut on_progress: impl FnMut(&str),
) -> Result<T, WaitError<E>> {
    let mut pause = FIRST_PAUSE;
    let mut last: Option<String> = None;
    loop {
        match timeout_at(deadline, poll()).await {
            Err(_) => return Err(WaitError::TimedOut(last)),
            Ok(Poll::Ready(value)) => return Ok(value),
            Ok(Poll::Failed(error)) => return Err(WaitError::Aborted(error)),
            Ok(Poll::Pending(reason)) => {
                if last.as_deref() != Some(&reason) {
                    on_progress(&reason);
                    last = Some(reason);
                }
            }
        }
        if Instant::now() + pause > deadline {
            return Err(WaitError::TimedOut(last));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Polls until nothing has happened for `time`.
pub async fn quiet(time: Duration, mut happened: impl FnMut() -> bool) {
    let mut since = Instant::now();
    while since.elapsed() < time {
        sleep(FIRST_PAUSE).await;
        if happened() {
            since = Instant::now();
        }
    }
}

/// Before something is tried again, the first time with 0: twice as long every time, and by chance up to half shorter, so
/// that those who failed together do not come back together.
pub async fn before_retry(number: u32) {
    let longest = FIRST_RETRY * 2_u32.saturating_pow(number);
    sleep(longest.mul_f64(rand::random_range(0.5..=1.0))).await;
}

/// A second, between two reports of a watch.
pub async fn second() {
    sleep(Duration::from_secs(1)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_reason_is_given_when_time_runs_out() {
        let deadline = Instant::now() + Duration::from_millis(30);
        let result = poll_until(deadline, async || Poll::<(), ()>::Pending("refused".into()), |_| {}).await;
        assert!(matches!(result, Err(WaitError::TimedOut(Some(reason))) if reason == "refused"));
        assert!(Instant::now() < deadline + Duration::from_millis(200));
    }

    #[tokio::test]
    async fn a_poll_that_hangs_does_not_outlast_the_deadline() {
        let deadline = Instant::now() + Duration::from_millis(30);
        let result =
            poll_until(deadline, async || std::future::pending::<Poll<(), ()>>().await, |_| {}).await;
        assert!(matches!(result, Err(WaitError::TimedOut(None))));
    }
}
