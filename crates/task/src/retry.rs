//! How often a failed task is tried again, and how long it waits in between.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// The longest pause between two attempts.
pub const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Exponential backoff with full jitter: before retry `n` (from 1) a pause drawn evenly from zero to `base * 2^(n-1)`.
///
/// Source: M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), variant "full jitter".
///
/// ```
/// use raddle_task::retry::backoff;
/// use std::time::Duration;
///
/// let base = Duration::from_millis(10);
/// assert!(backoff(base, 1) <= base);
/// assert!(backoff(base, 3) <= base * 4);
/// assert_eq!(backoff(Duration::ZERO, 3), Duration::ZERO);
/// ```
#[must_use]
pub fn backoff(base: Duration, retry: u32) -> Duration {
    let doublings = retry.saturating_sub(1).min(31);
    let ceiling = base.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    let nanos = u64::try_from(ceiling.as_nanos()).expect("an hour of nanoseconds fits");
    Duration::from_nanos(random() % (nanos + 1))
}

/// An unpredictable number; each `RandomState` is keyed anew.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_and_bounded() {
        let base = Duration::from_millis(8);
        let pauses: Vec<_> = (0..200).map(|_| backoff(base, 4)).collect();
        assert!(pauses.iter().all(|pause| *pause <= base * 8));
        assert!(pauses.iter().any(|pause| *pause > base * 4));
        assert!(pauses.iter().any(|pause| *pause < base * 4));
    }

    #[test]
    fn many_retries_do_not_overflow() {
        assert!(backoff(Duration::MAX, u32::MAX) <= LONGEST_PAUSE);
    }
}
