//! How long to wait before the next try.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(500);

/// The pause after `failures` failures in a row, 0 for the first: random, below a ceiling that doubles from 100 ms up
/// to half a second. Without the full jitter, services that lost the same broker would all come back in step.
pub fn backoff(failures: u32) -> Duration {
    rand::random_range(Duration::ZERO..=ceiling(failures))
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
    fn pauses_are_spread_over_all_that_is_below_the_ceiling() {
        let pauses: Vec<Duration> = (0..1000).map(|_| backoff(9)).collect();
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(
            pauses.iter().any(|pause| *pause < LONGEST / 4)
                && pauses.iter().any(|pause| *pause > LONGEST / 4 * 3)
        );
    }
}
