//! When to connect again to a server that cannot be connected to.
//!
//! Owns: how long to wait. A connection that worked and broke is replaced at once; only attempts
//! that fail are followed by a wait, which grows from 10 ms to a second.

use std::time::Duration;

use crate::base::Random;

/// After the first attempt that fails.
const FIRST: Duration = Duration::from_millis(10);

/// While nobody asks: a server that is back is found again within a second.
const MOST: Duration = Duration::from_secs(1);

/// While somebody asks: it is found again before a person would notice.
pub(in crate::proxy) const ASKED: Duration = Duration::from_millis(50);

/// How long to wait after so many attempts in a row have failed: half of it for certain, the other
/// half by chance, so that the workers of many proxies do not come all at once.
pub(in crate::proxy) fn delay(attempts: u32, random: &mut Random) -> Duration {
    let doubled = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    let micros = u64::try_from(doubled.min(MOST).as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(micros / 2 + random.below(micros / 2 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_ten_milliseconds_to_a_second_with_jitter() {
        let mut random = Random::new(1);
        for (attempts, most_ms) in [(1, 10), (2, 20), (4, 80), (8, 1000), (4_000_000_000, 1000)] {
            let most = Duration::from_millis(most_ms);
            let delays: Vec<Duration> = (0..100).map(|_| delay(attempts, &mut random)).collect();
            assert!(delays.iter().all(|d| *d >= most / 2 && *d <= most));
            assert!(delays.windows(2).any(|pair| pair[0] != pair[1]));
        }
    }
}
