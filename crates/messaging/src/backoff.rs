//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(500);

/// The pause after `failures` failures in a row, 0 for the first: random, between half of a ceiling and the whole of it,
/// which doubles from 100 ms up to half a second. Without the jitter, services that lost the same broker would all
/// reconnect in step; with the lower half, a number of retries lasts for a time that can be relied on.
pub fn backoff(failures: u32) -> Duration {
    let ceiling = ceiling(failures);
    rand::random_range(ceiling / 2..=ceiling)
}

fn ceiling(failures: u32) -> Duration {
    FIRST.saturating_mul(2u32.saturating_pow(failures)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_and_never_passes_half_a_second() {
        let millis: Vec<u128> = [0, 1, 4, 5, 40].map(|n| ceiling(n).as_millis()).to_vec();
        assert_eq!(millis, [100, 200, 500, 500, 500]);
    }

    #[test]
    fn pauses_are_spread_over_the_upper_half_of_the_ceiling() {
        let pauses: Vec<Duration> = (0..1000).map(|_| backoff(9)).collect();
        assert!(pauses.iter().all(|pause| (LONGEST / 2..=LONGEST).contains(pause)));
        let middle = LONGEST / 4 * 3;
        assert!(pauses.iter().any(|pause| *pause < middle) && pauses.iter().any(|pause| *pause > middle));
    }
}
