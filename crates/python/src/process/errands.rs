//! What needs the interpreter after a task has ended, on a thread of its own: callbacks, and the decision on another attempt.
//!
//! Whoever collects what workers say does not do it himself. He would wait for the interpreter meanwhile, and run code of the
//! user's: that may wait for another task of the same pool, whose outcome nobody would collect then; and in the main thread it may
//! meet what a signal handler raises, which is meant for the code that waits there.
//!
//! The thread starts with the first errand, does them in their order, and ends with its pool.

use pyo3::prelude::*;
use raddle_sync::{Moment, Mutex, WaitWord, Wake};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::ThreadId;

type Errand = Box<dyn FnOnce(Python<'_>) + Send>;

#[derive(Default)]
struct List {
    errands: VecDeque<Errand>,
    /// The thread is at some that are not on the list any more.
    busy: bool,
    thread: Option<ThreadId>,
    /// The pool is gone, and the thread ends.
    closed: bool,
}

struct Shared {
    list: Mutex<List>,
    /// Rises when there is something to do.
    bell: WaitWord,
    /// Rises when there is nothing left.
    quiet: WaitWord,
}

/// The errands of one pool. Safe across threads; not for a forked child, where the thread is missing.
pub(crate) struct Errands {
    shared: Arc<Shared>,
}

impl Default for Errands {
    fn default() -> Self {
        let (bell, quiet) = (WaitWord::new(0), WaitWord::new(0));
        Self { shared: Arc::new(Shared { list: Mutex::default(), bell, quiet }) }
    }
}

impl Errands {
    /// Has something done soon. Nothing is done once the interpreter has ended.
    pub(crate) fn run(&self, errand: impl FnOnce(Python<'_>) + Send + 'static) {
        let mut list = self.shared.list.lock();
        list.errands.push_back(Box::new(errand));
        if list.thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let builder = std::thread::Builder::new().name("raddle-errands".into());
            let Ok(thread) = builder.spawn(move || shared.work()) else {
                // Somebody has to do it: better this thread than nobody.
                list.busy = true;
                let errands = std::mem::take(&mut list.errands);
                drop(list);
                carry_out(errands);
                return self.shared.rest();
            };
            list.thread = Some(thread.thread().id());
        }
        drop(list);
        self.shared.bell.fetch_add(1);
        self.shared.bell.wake_one();
    }

    /// Sleeps until everything is done. Who is on an errand himself does not wait for its end.
    pub(crate) fn wait_quiet(&self, deadline: Option<Moment>) -> Wake {
        loop {
            let seen = self.shared.quiet.load();
            let list = self.shared.list.lock();
            let quiet = list.errands.is_empty() && !list.busy;
            if quiet || list.thread == Some(std::thread::current().id()) {
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
        self.shared.list.lock().closed = true;
        self.shared.bell.fetch_add(1);
        self.shared.bell.wake_all();
    }
}

impl Shared {
    fn work(&self) {
        loop {
            let seen = self.bell.load();
            let mut list = self.list.lock();
            let errands = std::mem::take(&mut list.errands);
            if errands.is_empty() {
                if list.closed {
                    return;
                }
                drop(list);
                self.bell.wait(seen, None);
                continue;
            }
            list.busy = true;
            drop(list);
            carry_out(errands);
            self.rest();
        }
    }

    fn rest(&self) {
        self.list.lock().busy = false;
        self.quiet.fetch_add(1);
        self.quiet.wake_all();
    }
}

fn carry_out(errands: VecDeque<Errand>) {
    let mut errands = Some(errands);
    Python::try_attach(|py| {
        for errand in errands.take().into_iter().flatten() {
            // The panic hook has printed it; the others are to be done all the same.
            let _ = catch_unwind(AssertUnwindSafe(|| errand(py)));
        }
    });
    // Gone is the interpreter, and with it everybody who could be told. What they hold can't be dropped without it.
    std::mem::forget(errands);
}
