//! What a wait shows to the graph, and to those who report on it.

use super::tasks;
use pyo3::prelude::*;
use raddle_sync::{Owner, Waitable, Waiter, Woken};
use std::any::Any;
use std::sync::Arc;

/// Who waits, and for which object: for reports. The thread or task is inside its wait for as long as this is noted.
pub(crate) struct Subject {
    /// `threading.get_ident()` of the thread that waits, or in which the task's loop runs.
    pub(crate) ident: u64,
    /// The task that waits, if it is one.
    pub(crate) task: Option<Py<PyAny>>,
    /// What the user's code called.
    pub(crate) object: Py<PyAny>,
}

/// A primitive (`what`) as one wait shows it to the graph.
pub(crate) struct Wanted<W> {
    pub(crate) what: W,
    pub(crate) subject: Subject,
}

impl<W> Wanted<W> {
    /// For a wait of the calling thread.
    pub(crate) fn by_thread(object: &Bound<'_, PyAny>, what: W) -> Arc<Self> {
        Self::new(object, what, None)
    }

    /// For a wait of `task`, whose loop runs in the calling thread.
    pub(crate) fn by_task(object: &Bound<'_, PyAny>, what: W, task: &Bound<'_, PyAny>) -> Arc<Self> {
        Self::new(object, what, Some(task.clone().unbind()))
    }

    fn new(object: &Bound<'_, PyAny>, what: W, task: Option<Py<PyAny>>) -> Arc<Self> {
        let subject = Subject { ident: raddle_sys::thread::ident(), task, object: object.clone().unbind() };
        Arc::new(Self { what, subject })
    }
}

impl<W: Waitable> Waitable for Wanted<W> {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        self.what.attempt(waiter)
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        self.what.abandon(waiter)
    }

    fn pass_on(&self, waiter: &Arc<Waiter>) -> Vec<Woken> {
        self.what.pass_on(waiter)
    }

    /// A task must act, and so must the thread that its loop runs in: while that one is blocked, the task can't go on.
    fn holders(&self, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        self.what.holders(waiter, &mut |holder| {
            visit(holder);
            if let Some(thread) = tasks::thread_of(holder) {
                visit(thread);
            }
        });
    }

    fn is_exact(&self) -> bool {
        self.what.is_exact()
    }

    fn is_over(&self) -> bool {
        self.what.is_over()
    }

    fn subject(&self) -> Option<&dyn Any> {
        Some(&self.subject)
    }
}
