//! What stands where in a channel's memory.
//!
//! ```text
//!  page 0  what the parent writes:  stamp │ tail of the ring to the worker │ head of the ring to the parent │ wishes
//!  page 1  what the worker writes:  head of the ring to the worker │ tail of the ring to the parent │ where it sleeps
//!  page 2  what both write:         claims │ leases that came back
//!  then    the ring to the worker, the ring to the parent
//! ```
//!
//! Each word has a cache line to itself, or it would travel between the processors whenever the other side writes its
//! neighbour. The memory starts as zeros, and so do all of these; pages that nobody has touched cost nothing. (A model has neither
//! pages nor lines: its stacks are too small for them.)

use super::claims;
use super::leases::Marks;
use super::place::Shareable;
use super::ring::{Ring, Words};
use super::word::SharedWord;
use raddle_sync::primitives::AtomicU32;

/// Two cache lines: processors fetch them in pairs.
#[cfg_attr(not(loom), repr(C, align(128)))]
#[cfg_attr(loom, derive(Default))]
pub(super) struct Line<T>(pub(super) T);

/// Tells a channel's memory from any other, and one layout from the next.
#[cfg(not(loom))]
pub(super) const STAMP: u32 = 0x5244_0001;

#[cfg_attr(not(loom), repr(C, align(4096)))]
#[cfg_attr(loom, derive(Default))]
pub(super) struct Layout {
    pub(super) parent: ParentPage,
    pub(super) worker: WorkerPage,
    pub(super) both: BothPage,
    to_worker: Words,
    to_parent: Words,
}

// SAFETY: atomics throughout, `repr(C)` throughout, aligned to a page.
unsafe impl Shareable for Layout {}

/// Written by the parent; `asleep` and its like in the other page are the only words that both sides write beside
/// [`BothPage`].
#[cfg_attr(not(loom), repr(C, align(4096)))]
#[cfg_attr(loom, derive(Default))]
pub(super) struct ParentPage {
    #[cfg(not(loom))]
    pub(super) stamp: Line<AtomicU32>,
    to_worker_tail: Line<AtomicU32>,
    to_parent_head: Line<AtomicU32>,
    /// Not 0 while the parent wants to be rung when a lease of an argument comes back.
    pub(super) wants_leases: Line<AtomicU32>,
}

/// Written by the worker. Each of the three words is 1 while the worker sleeps on it, or is about to, and set to 0 by the
/// parent when it wakes it.
#[cfg_attr(not(loom), repr(C, align(4096)))]
#[cfg_attr(loom, derive(Default))]
pub(super) struct WorkerPage {
    to_worker_head: Line<AtomicU32>,
    to_parent_tail: Line<AtomicU32>,
    /// Until there is mail, or a nudge.
    pub(super) asleep: Line<SharedWord>,
    /// Until there is room in the ring to the parent.
    pub(super) cramped: Line<SharedWord>,
    /// Until a lease of a result comes back.
    pub(super) starved: Line<SharedWord>,
}

#[cfg_attr(not(loom), repr(C, align(4096)))]
#[cfg_attr(loom, derive(Default))]
pub(super) struct BothPage {
    pub(super) claims: claims::Words,
    /// Leases of arguments, lent by the parent, that the worker has given back.
    pub(super) arguments: Line<Marks>,
    /// Leases of results, lent by the worker, that the parent has given back.
    pub(super) results: Line<Marks>,
}

impl Layout {
    #[inline]
    pub(super) fn to_worker(&self) -> Ring<'_> {
        Ring {
            words: &self.to_worker,
            tail: &self.parent.to_worker_tail.0,
            head: &self.worker.to_worker_head.0,
        }
    }

    #[inline]
    pub(super) fn to_parent(&self) -> Ring<'_> {
        Ring {
            words: &self.to_parent,
            tail: &self.worker.to_parent_tail.0,
            head: &self.parent.to_parent_head.0,
        }
    }
}
