//! What a wait shows to the graph, and to those who report on it.

use super::tasks;
use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;
use raddle_sync::{Owner, Waitable, Waiter, Woken};
use std::any::Any;
use std::sync::Arc;

/// Which thread waits, and for which object: for reports. It is inside its wait for as long as this is noted.
pub(crate) struct Subject {
    /// `threading.get_ident()` of the thread.
    pub(crate) ident: u64,
    /// What the user's code called.
    pub(crate) object: Py<PyAny>,
}

/// A primitive (`what`) as one wait of a thread shows it to the graph.
pub(crate) struct Wanted<W> {
    pub(crate) what: W,
    pub(crate) subject: Subject,
}

impl<W> Wanted<W> {
    /// For a wait of the calling thread.
    pub(crate) fn by_thread(object: &Bound<'_, PyAny>, what: W) -> Arc<Self> {
        let subject = Subject { ident: raddle_sys::thread::ident(), object: object.clone().unbind() };
        Arc::new(Self { what, subject })
    }
}

/// A wait of a task, as it is told to those who ask for all waits. It keeps neither the task nor the primitive: a task that nobody
/// can wake any more may go away in the middle of its wait.
pub(crate) struct TaskWaits {
    /// `threading.get_ident()` of the thread in which the task's loop runs.
    pub(crate) ident: u64,
    pub(crate) task: Py<PyWeakrefReference>,
    pub(crate) object: Py<PyWeakrefReference>,
}

impl TaskWaits {
    /// `task`, whose loop runs in the calling thread, waits for `object`.
    pub(crate) fn new(object: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> PyResult<Arc<Self>> {
        let (task, object) =
            (PyWeakrefReference::new(task)?.unbind(), PyWeakrefReference::new(object)?.unbind());
        Ok(Arc::new(Self { ident: raddle_sys::thread::ident(), task, object }))
    }
}

/// It ends by itself, so that nobody asks more than what it is about.
impl Waitable for TaskWaits {
    fn attempt(&self, _waiter: &Arc<Waiter>) -> bool {
        false
    }

    fn abandon(&self, _waiter: &Arc<Waiter>) -> bool {
        false
    }

    fn subject(&self) -> Option<&dyn Any> {
        Some(self)
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

    /// A task must act, and so must the thread that is blocked in a step of its loop, if one is.
    fn holders(&self, waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        self.what.holders(waiter, &mut |holder| {
            visit(holder);
            if let Some(thread) = tasks::blocked_with(holder) {
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
