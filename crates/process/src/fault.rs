//! Instants at which a worker can be made to die: for the tests of what the parent does then.
//!
//! [`point`] marks an instant. It is nothing, unless the crate is built with the feature `faults` and the process was told
//! to die there: by `RADDLE_FAULT=name:n` in its environment, or by [`arm`]. Then it sends itself SIGKILL when it passes
//! the point for the n-th time, counted from 1.

/// Every point, in the order in which a worker passes them.
#[cfg(feature = "faults")]
pub const POINTS: &[&str] = &[
    "next:seen",
    "next:begun",
    "next:copied",
    "next:taken",
    "next:skipped",
    "write:header",
    "write:body",
    "write:published",
    "lend:lent",
    "bell:counted",
    "bell:woken",
    "reply:rung",
    "return:marked",
    "return:told",
    "sleep:announced",
    "sleep:over",
];

/// An instant at which a worker may die, by its name in [`POINTS`].
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn point(_name: &'static str) {}

#[cfg(feature = "faults")]
pub use armed::arm;
#[cfg(feature = "faults")]
pub(crate) use armed::point;

#[cfg(feature = "faults")]
mod armed {
    use super::POINTS;
    use std::sync::Once;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    const SIGKILL: i32 = 9;
    const NONE: usize = usize::MAX;

    /// Where to die, as an index of [`POINTS`]. No lock: a worker is forked while others pass points.
    static POINT: AtomicUsize = AtomicUsize::new(NONE);
    /// How many passages are left; the last of them is the end.
    static LEFT: AtomicU64 = AtomicU64::new(0);

    /// An instant at which a worker may die, by its name in [`POINTS`].
    pub(crate) fn point(name: &'static str) {
        static ENVIRONMENT: Once = Once::new();
        debug_assert!(POINTS.contains(&name), "{name} stands in the list");
        if POINT.load(Ordering::Relaxed) == NONE {
            ENVIRONMENT.call_once(arm_from_environment);
        }
        let here = POINTS.get(POINT.load(Ordering::Relaxed)) == Some(&name);
        if here && LEFT.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = raddle_sys::process::kill(raddle_sys::process::id(), SIGKILL);
        }
    }

    fn arm_from_environment() {
        if let Ok(setting) = std::env::var("RADDLE_FAULT") {
            let (name, passage) = setting.rsplit_once(':').expect("RADDLE_FAULT is name:n");
            arm(name, passage.parse().expect("RADDLE_FAULT ends with a number"));
        }
    }

    /// Makes this process die at its `passage`-th passage of the point `name` from now on, whatever its environment says.
    ///
    /// # Panics
    ///
    /// When there is no such point.
    pub fn arm(name: &str, passage: u64) {
        let index = POINTS.iter().position(|point| *point == name).expect("a point that there is");
        LEFT.store(passage, Ordering::Relaxed);
        POINT.store(index, Ordering::Relaxed);
    }
}
