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
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Fault {
        name: String,
        /// Passages that are left; the last of them is the end.
        left: AtomicU64,
    }

    const SIGKILL: i32 = 9;

    static FAULT: OnceLock<Option<Fault>> = OnceLock::new();

    /// An instant at which a worker may die, by its name in [`POINTS`].
    pub(crate) fn point(name: &'static str) {
        debug_assert!(POINTS.contains(&name), "{name} stands in the list");
        let Some(fault) = FAULT.get_or_init(from_environment) else { return };
        if fault.name == name && fault.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = raddle_sys::process::kill(raddle_sys::process::id(), SIGKILL);
        }
    }

    fn from_environment() -> Option<Fault> {
        let setting = std::env::var("RADDLE_FAULT").ok()?;
        let (name, passage) = setting.rsplit_once(':').expect("RADDLE_FAULT is name:n");
        Some(fault(name, passage.parse().expect("RADDLE_FAULT ends with a number")))
    }

    fn fault(name: &str, passage: u64) -> Fault {
        assert!(POINTS.contains(&name), "no such fault point: {name}");
        Fault { name: name.to_owned(), left: AtomicU64::new(passage) }
    }

    /// Makes this process die at its `passage`-th passage of the point `name`, whatever its environment says.
    ///
    /// # Panics
    ///
    /// When there is no such point, or when the process has passed a point already.
    pub fn arm(name: &str, passage: u64) {
        assert!(FAULT.set(Some(fault(name, passage))).is_ok(), "it has passed a point already");
    }
}
