//! What needs the interpreter and whoever collects what workers say does not do himself: he would wait for the interpreter, and run
//! code of the user's, which may wait for another task of the same pool, whose outcome nobody would collect then; and in the main
//! thread that code may meet what a signal handler raises, which is meant for the code that waits there.
//!
//! A pool has two kinds, each on threads of its own, so that a callback that takes its time holds up nothing but other callbacks:
//! its *duties*, without which it does not go on (whether a task is tried again, sending items of a map), and *callbacks*.
//!
//! **One at a time, in their order.** That is what callbacks may count on. But one that sleeps in a wait of Raddle's may wait for
//! what a later one brings about, so another thread does the later ones meanwhile ([`step_aside`]), as another worker takes the
//! place of one that waits.
//!
//! The first errand starts a thread. At most one stays that has nothing to do, and it ends with its pool.

use crate::ending;
use pyo3::prelude::*;
use raddle_sync::{Moment, Mutex, WaitWord, Wake};
use raddle_sys::fork;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

type Errand = Box<dyn FnOnce(Python<'_>) + Send>;

#[derive(Default)]
struct List {
    errands: VecDeque<Errand>,
    /// Threads on an errand.
    busy: usize,
    /// Of these: those that sleep in a wait of Raddle's.
    aside: usize,
    /// Threads with nothing to do.
    idle: usize,
    /// Threads that are being started.
    starting: usize,
    /// Idle threads that have been rung and are not counted as idle any more.
    rung: usize,
    /// The pool is gone, and the threads end.
    closed: bool,
}

impl List {
    /// Whether a thread is missing that does what there is.
    fn lacks_thread(&self) -> bool {
        !self.errands.is_empty() && self.busy == self.aside && self.starting + self.rung == 0
    }
}

struct Shared {
    list: Mutex<List>,
    /// Rises when there is something to do.
    bell: WaitWord,
    /// Rises when there is nothing left.
    quiet: WaitWord,
    epoch: u32,
}

thread_local! {
    /// Whose errand the calling thread is on.
    static CURRENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// The errands of one kind of one pool. Safe across threads; not for a forked child, where the threads are missing.
pub(crate) struct Errands {
    shared: Arc<Shared>,
}

impl Default for Errands {
    fn default() -> Self {
        let (bell, quiet, epoch) = (WaitWord::new(0), WaitWord::new(0), fork::epoch());
        Self { shared: Arc::new(Shared { list: Mutex::default(), bell, quiet, epoch }) }
    }
}

impl Errands {
    /// Has something done soon. Nothing is done once the interpreter has ended.
    pub(crate) fn run(&self, errand: impl FnOnce(Python<'_>) + Send + 'static) {
        self.shared.list.lock().errands.push_back(Box::new(errand));
        if !self.shared.staff() {
            // Somebody has to do it: better this thread than nobody.
            let mut list = self.shared.list.lock();
            list.busy += 1;
            drop(list);
            self.shared.carry_out();
        }
    }

    /// Whether the calling thread is on one of these errands.
    pub(crate) fn is_on_one(&self) -> bool {
        CURRENT
            .with_borrow(|current| current.as_ref().is_some_and(|shared| Arc::ptr_eq(shared, &self.shared)))
    }

    /// Sleeps until everything is done.
    pub(crate) fn wait_quiet(&self, deadline: Option<Moment>) -> Wake {
        loop {
            let seen = self.shared.quiet.load();
            let list = self.shared.list.lock();
            if list.errands.is_empty() && list.busy == 0 {
                return Wake::Woken;
            }
            drop(list);
            match self.shared.quiet.wait(seen, deadline) {
                Wake::Woken => {}
                other => return other,
            }
        }
    }
}

impl Drop for Errands {
    fn drop(&mut self) {
        if self.shared.epoch != fork::epoch() {
            // The lock may be held for ever, and no thread is here to be told.
            return;
        }
        self.shared.list.lock().closed = true;
        self.shared.bell.fetch_add(1);
        self.shared.bell.wake_all();
    }
}

impl Shared {
    /// Sees to it that somebody does what there is; false when no thread can be had.
    fn staff(self: &Arc<Self>) -> bool {
        let mut list = self.list.lock();
        if !list.lacks_thread() {
            return true;
        }
        if list.idle > 0 {
            list.idle -= 1;
            list.rung += 1;
            drop(list);
            self.bell.fetch_add(1);
            self.bell.wake_one();
            return true;
        }
        list.starting += 1;
        drop(list);
        let shared = Arc::clone(self);
        let builder = std::thread::Builder::new().name("raddle-errands".into());
        let started = builder.spawn(move || shared.work()).is_ok();
        if !started {
            self.list.lock().starting -= 1;
        }
        started
    }

    /// The life of a thread.
    fn work(self: &Arc<Self>) {
        let mut list = self.list.lock();
        list.starting -= 1;
        loop {
            if !list.errands.is_empty() && list.busy == list.aside {
                list.busy += 1;
                drop(list);
                self.carry_out();
                list = self.list.lock();
            }
            // One that is idle is enough.
            if list.closed || list.idle > 0 {
                return;
            }
            list.idle += 1;
            let seen = self.bell.load();
            drop(list);
            self.bell.wait(seen, None);
            list = self.list.lock();
            // Woken without having been rung, it is still counted as idle. (If another one was meant, that one is counted then.)
            if list.rung > 0 {
                list.rung -= 1;
            } else {
                list.idle -= 1;
            }
        }
    }

    /// Does what there is, the calling thread being counted among the busy ones, until nothing is left or another thread is at it.
    fn carry_out(self: &Arc<Self>) {
        let before = CURRENT.replace(Some(Arc::clone(self)));
        let mut left = true;
        while left {
            let done = ending::attach(|py| {
                while let Some(errand) = self.next(&mut left) {
                    // The panic hook has printed it; the others are to be done all the same.
                    let _ = catch_unwind(AssertUnwindSafe(|| errand(py)));
                }
            });
            if done.is_none() {
                // Gone is the interpreter, and with it everybody who could be told. What they hold can't be dropped without it.
                while let Some(errand) = self.next(&mut left) {
                    std::mem::forget(errand);
                }
            }
        }
        CURRENT.set(before);
        self.quiet.fetch_add(1);
        self.quiet.wake_all();
    }

    /// What the calling thread is to do next. None, with `left` false, when that is nothing: then it is not busy any more.
    fn next(&self, left: &mut bool) -> Option<Errand> {
        let mut list = self.list.lock();
        // While it slept, another thread may have taken its place.
        let alone = list.busy == list.aside + 1;
        let errand = if alone { list.errands.pop_front() } else { None };
        if errand.is_none() {
            list.busy -= 1;
            *left = false;
        }
        errand
    }
}

/// The calling thread's errand sleeps, if it is on one; dropped, it is awake again.
pub(crate) struct Aside(Option<Arc<Shared>>);

/// Called before a sleep on behalf of Python code: lets another thread do the errands that come after this one's meanwhile. On all
/// other threads nothing happens.
pub(crate) fn step_aside() -> Aside {
    let current = CURRENT.with_borrow(Option::clone).filter(|shared| shared.epoch == fork::epoch());
    if let Some(shared) = &current {
        shared.list.lock().aside += 1;
        // Without a thread they wait until this one is back.
        shared.staff();
    }
    Aside(current)
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.list.lock().aside -= 1;
        }
    }
}
