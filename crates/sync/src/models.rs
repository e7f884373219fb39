//! What the models of the waiting primitives share.
//!
//! A deadline passes at once in a model; the order of the threads decides how much happens before.

mod tasks;

use crate::owner::Owner;
use crate::primitives::{Arc, AtomicUsize, Ordering};
use crate::waiter::{Waitable, block_as};
use raddle_sys::clock::Moment;

/// Explores every order in which the threads are interrupted up to twice against their will.
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

pub(crate) const fn owner(number: u64) -> Owner {
    Owner::thread(number)
}

/// Waits; with `gives_up` only until it would have to sleep.
pub(crate) fn wait(number: u64, primitive: &impl Waitable, gives_up: bool) -> bool {
    block_as(owner(number), primitive, gives_up.then(Moment::now))
}

/// Runs one thread for each of the first numbers beside the model's own, which is the last.
pub(crate) fn race<T: Send + Sync + 'static>(
    shared: T,
    threads: u64,
    run: impl Fn(u64, &T) + Send + Sync + 'static,
) {
    let (shared, run) = (Arc::new(shared), Arc::new(run));
    let spawned: Vec<_> = (1..threads)
        .map(|number| {
            let (shared, run) = (Arc::clone(&shared), Arc::clone(&run));
            loom::thread::spawn(move || run(number, &*shared))
        })
        .collect();
    run(threads, &*shared);
    for thread in spawned {
        thread.join().expect("it ends");
    }
}

/// Counts those who are inside a critical section.
#[derive(Debug)]
pub(crate) struct Inside {
    now: AtomicUsize,
    /// How many have been there: once as an exact count, and once as a thing that the critical section protects.
    visits: AtomicUsize,
    protected: AtomicUsize,
}

impl Inside {
    pub(crate) fn new() -> Self {
        let [now, visits, protected] = [0, 0, 0].map(AtomicUsize::new);
        Self { now, visits, protected }
    }

    /// There is nobody.
    pub(crate) fn nobody(&self) {
        assert_eq!(self.now.load(Ordering::Relaxed), 0);
    }

    /// One comes in and leaves; at no time there may be more than `most`.
    pub(crate) fn visit(&self, most: usize) {
        assert!(self.now.fetch_add(1, Ordering::Relaxed) < most);
        if most == 1 {
            let visits = self.visits.fetch_add(1, Ordering::Relaxed);
            assert_eq!(self.protected.load(Ordering::Relaxed), visits, "the visit before is seen");
            self.protected.store(visits + 1, Ordering::Relaxed);
        }
        self.now.fetch_sub(1, Ordering::Relaxed);
    }
}
