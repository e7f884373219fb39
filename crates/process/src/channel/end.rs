//! What an end of a channel shares with its loans, which outlive it.

use super::bell::Bell;
use super::layout::Layout;
use super::leases::{Borrower, Marks};
use super::place::Place;
use super::word::SharedWord;
use crate::{Corrupt, fault};
use raddle_sync::primitives::{Arc, Ordering, fence};
use raddle_sync::{Moment, Wake, linger};

/// Whose end it is.
pub(super) enum Side {
    Parent,
    Worker(Bell),
}

pub(super) struct End {
    pub(super) layout: Place<Layout>,
    pub(super) side: Side,
    borrowed: Borrower,
    /// The fork epoch of the process that this end belongs to.
    epoch: u32,
}

impl End {
    pub(super) fn new(layout: Place<Layout>, side: Side) -> Arc<Self> {
        // Without it no epoch would tell a child from its parent.
        raddle_sys::fork::watch();
        Arc::new(Self { layout, side, borrowed: Borrower::default(), epoch: raddle_sys::fork::epoch() })
    }

    pub(super) fn borrow(self: &Arc<Self>, lease: u16) -> Result<Loan, Corrupt> {
        self.borrowed.borrow(lease)?;
        Ok(Loan { end: Arc::clone(self), lease })
    }

    /// Gives a lease back, and wakes the lender if it waits for that.
    fn give_back(&self, lease: u16) {
        self.borrowed.forget(lease);
        match &self.side {
            Side::Parent => {
                self.layout.both.results.0.give_back(lease);
                rouse(&self.layout.worker.starved.0);
            }
            Side::Worker(bell) => {
                self.layout.both.arguments.0.give_back(lease);
                fault::point("return:marked");
                fence(Ordering::SeqCst);
                if self.layout.parent.wants_leases.0.load(Ordering::Relaxed) != 0 {
                    bell.ring();
                }
                fault::point("return:told");
            }
        }
    }

    /// The marks by which the leases that this end lends come back.
    pub(super) fn marks(&self) -> &Marks {
        match self.side {
            Side::Parent => &self.layout.both.arguments.0,
            Side::Worker(_) => &self.layout.both.results.0,
        }
    }
}

/// A block of the other side's arena that this side looks at, until it is dropped: from any thread, and after the channel too.
///
/// In a child made by fork, dropping it does nothing: the block is the parent's, which looks at it still.
#[must_use = "dropping it gives the block back"]
pub struct Loan {
    end: Arc<End>,
    lease: u16,
}

impl Loan {
    /// Its number.
    #[must_use]
    pub fn lease(&self) -> u16 {
        self.lease
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.end.epoch == raddle_sys::fork::epoch() {
            self.end.give_back(self.lease);
        }
    }
}

impl std::fmt::Debug for Loan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Loan").field("lease", &self.lease).finish_non_exhaustive()
    }
}

/// Wakes the worker if it sleeps on this word. What it sleeps for has been published before.
#[inline]
pub(super) fn rouse(word: &SharedWord) {
    fence(Ordering::SeqCst);
    if word.load() != 0 {
        word.store(0);
        word.wake();
    }
}

/// The worker sleeps on this word, unless `ready`, until it is roused, `deadline` or a signal.
///
/// Either this finds what the other side has published, or the other side finds that this sleeps: between saying the one
/// and looking for the other, both pass a fence ([`rouse`] has the other one), and one of the fences comes first.
pub(super) fn doze(word: &SharedWord, ready: impl Fn() -> bool, deadline: Option<Moment>) -> Wake {
    if linger(&ready) {
        return Wake::Woken;
    }
    word.store(1);
    fence(Ordering::SeqCst);
    fault::point("sleep:announced");
    let wake = if ready() { Wake::Woken } else { word.wait(1, deadline) };
    word.store(0);
    fault::point("sleep:over");
    wake
}
