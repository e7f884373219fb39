//! How a wait sleeps: never for long at once.
//!
//! What wakes a sleeper may have been killed before it could, or the sleeper that was woken in this one's place may have been. So
//! every sleep ends by itself after a while, a longer one each time, and the waiter looks.

use raddle_sync::{Moment, Wake};
use raddle_sys::futex;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(640);

/// The naps of one wait.
pub(super) struct Naps {
    deadline: Option<Moment>,
    span: Duration,
}

/// Why one has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nap {
    /// Look at the word.
    Over,
    /// Nothing has happened for a while.
    Long,
    /// The wait is over: the deadline has passed, or a signal has arrived.
    Ends(Wake),
}

impl Naps {
    pub(super) fn until(deadline: Option<Moment>) -> Self {
        Self { deadline, span: FIRST }
    }

    /// Sleeps while `word` is as expected.
    pub(super) fn sleep(&mut self, word: &AtomicU32, expected: u32) -> Nap {
        let now = Moment::now();
        let nap = now + self.span;
        let until = self.deadline.map_or(nap, |deadline| deadline.min(nap));
        match futex::wait_shared(word, expected, Some(until)) {
            Wake::Woken => Nap::Over,
            Wake::Interrupted => Nap::Ends(Wake::Interrupted),
            Wake::TimedOut if self.deadline.is_some_and(|deadline| deadline <= Moment::now()) => {
                Nap::Ends(Wake::TimedOut)
            }
            Wake::TimedOut => {
                self.span = (self.span * 2).min(LONGEST);
                Nap::Long
            }
        }
    }
}
