//! How long to wait before trying again: the services' only delays come from here.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(500);

/// The pause after `failures` failures in a row (0 = the first): doubles from 100 ms up to half a second.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    FIRST.saturating_mul(2u32.saturating_pow(failures)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_and_never_passes_half_a_second() {
        let millis: Vec<u128> = [0, 1, 4, 5, 40].map(|n| backoff(n).as_millis()).to_vec();
        assert_eq!(millis, [100, 200, 500, 500, 500]);
    }
}
