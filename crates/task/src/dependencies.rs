//! The gate in front of a task that comes after others: it opens when all have arrived, or at the first failure.

use raddle_sync::primitives::{AtomicUsize, Ordering};

/// What an arrival means for the task behind the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Others are still out, or the gate has been settled before.
    Wait,
    /// The last one: the task may start.
    Open,
    /// The first failure: the task fails now.
    Fail,
}

const FAILED: usize = 1 << (usize::BITS - 1);

/// Counts dependencies in. Exactly one arrival settles it. Safe across threads.
///
/// ```
/// use raddle_task::dependencies::{Arrival, Gate};
///
/// let gate = Gate::new(2);
/// assert_eq!(gate.arrive(true), Arrival::Wait);
/// assert_eq!(gate.arrive(true), Arrival::Open);
/// ```
#[derive(Debug)]
pub struct Gate {
    missing: AtomicUsize,
}

impl Gate {
    /// A gate for this many dependencies, at least one.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { missing: AtomicUsize::new(count) }
    }

    /// One dependency has ended, well or not.
    pub fn arrive(&self, well: bool) -> Arrival {
        if well {
            match self.missing.fetch_sub(1, Ordering::AcqRel) {
                1 => Arrival::Open,
                _ => Arrival::Wait,
            }
        } else if self.missing.fetch_or(FAILED, Ordering::AcqRel) & FAILED == 0 {
            Arrival::Fail
        } else {
            Arrival::Wait
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_failure_counts() {
        let gate = Gate::new(3);
        let arrivals = [false, true, false].map(|well| gate.arrive(well));
        assert_eq!(arrivals, [Arrival::Fail, Arrival::Wait, Arrival::Wait]);
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use raddle_sync::primitives::Arc;

    #[test]
    fn exactly_one_arrival_settles_the_gate() {
        for outcomes in [[true, true], [true, false], [false, false]] {
            loom::model(move || {
                let gate = Arc::new(Gate::new(2));
                let other = Arc::clone(&gate);
                let thread = loom::thread::spawn(move || other.arrive(outcomes[0]));
                let arrivals = [gate.arrive(outcomes[1]), thread.join().expect("it ends")];
                let settled = arrivals.iter().filter(|arrival| **arrival != Arrival::Wait).count();
                assert_eq!(settled, 1);
            });
        }
    }
}
