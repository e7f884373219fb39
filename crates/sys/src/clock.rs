//! The one clock: `CLOCK_MONOTONIC`, in nanoseconds.
//!
//! The standard library's `Instant` hides its value, so that it can't be handed to a futex as an absolute deadline; a
//! [`Moment`] can.

use std::ops::Add;
use std::time::Duration;

/// A point in time on the machine's monotonic clock, in nanoseconds since an arbitrary start (usually the boot).
///
/// Comparable between threads and across fork, never between machines.
///
/// ```
/// use raddle_sys::clock::Moment;
/// use std::time::Duration;
///
/// let start = Moment::now();
/// let deadline = start + Duration::from_secs(1);
/// assert_eq!(deadline.since(start), Duration::from_secs(1));
/// assert_eq!(start.since(deadline), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The present.
    #[must_use]
    pub fn now() -> Self {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid, writable timespec; CLOCK_MONOTONIC exists on every Linux, so the call can't fail.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
        Self(time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned())
    }

    /// The moment this many nanoseconds after the clock's start; the inverse of [`Moment::as_nanos`].
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same moment as the kernel's absolute time.
    pub(crate) fn to_timespec(self) -> libc::timespec {
        let seconds = i64::try_from(self.0 / 1_000_000_000).expect("2^64 ns are fewer than 2^63 s");
        let nanos = i64::try_from(self.0 % 1_000_000_000).expect("a remainder below 10^9");
        libc::timespec { tv_sec: seconds, tv_nsec: nanos }
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Saturates: a timeout of centuries is a deadline that never comes.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let moments: Vec<_> = (0..1000).map(|_| Moment::now()).collect();
        assert!(moments.is_sorted());
    }

    #[test]
    fn a_deadline_of_centuries_saturates() {
        assert_eq!(Moment::now() + Duration::MAX, Moment::from_nanos(u64::MAX));
    }
}
