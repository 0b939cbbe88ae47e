//! Waiting for a condition, the only place that sleeps.
#![expect(clippy::disallowed_methods, reason = "the pause between two looks is here, and nowhere else")]

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Between two looks at a condition: the first time, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What a look at a condition found.
#[derive(Debug)]
pub enum Look<T, E> {
    /// It holds.
    Done(T),
    /// Not yet, and why not.
    NotYet(String),
    /// It never will.
    Never(E),
}

/// Why waiting ended without the condition.
#[derive(Debug)]
pub enum Gave<E> {
    /// Time ran out; the last reason, where any look came to one.
    Up(Option<String>),
    /// It will never hold.
    Never(E),
}

/// Looks until the condition holds or the deadline has passed. `waiting` hears every new reason.
///
/// # Errors
///
/// [`Gave::Up`] at the deadline, [`Gave::Never`] as soon as a look says so.
pub async fn until<T, E>(
    deadline: Instant,
    mut look: impl AsyncFnMut() -> Look<T, E>,
    mut waiting: impl FnMut(&str),
) -> Result<T, Gave<E>> {
    let mut pause = FIRST_PAUSE;
    let mut last: Option<String> = None;
    loop {
        match timeout_at(deadline, look()).await {
            Err(_) => return Err(Gave::Up(last)),
            Ok(Look::Done(value)) => return Ok(value),
            Ok(Look::Never(error)) => return Err(Gave::Never(error)),
            Ok(Look::NotYet(reason)) => {
                if last.as_deref() != Some(&reason) {
                    waiting(&reason);
                    last = Some(reason);
                }
            }
        }
        if Instant::now() + pause > deadline {
            return Err(Gave::Up(last));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Looks until nothing has happened for `time`.
pub async fn quiet(time: Duration, mut happened: impl FnMut() -> bool) {
    let mut since = Instant::now();
    while since.elapsed() < time {
        sleep(FIRST_PAUSE).await;
        if happened() {
            since = Instant::now();
        }
    }
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
        let gave = until(deadline, async || Look::<(), ()>::NotYet("refused".into()), |_| {}).await;
        assert!(matches!(gave, Err(Gave::Up(Some(reason))) if reason == "refused"));
        assert!(Instant::now() < deadline + Duration::from_millis(200));
    }

    #[tokio::test]
    async fn a_look_that_hangs_does_not_outlast_the_deadline() {
        let deadline = Instant::now() + Duration::from_millis(30);
        let gave = until(deadline, async || std::future::pending::<Look<(), ()>>().await, |_| {}).await;
        assert!(matches!(gave, Err(Gave::Up(None))));
    }
}
