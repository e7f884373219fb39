//! What a thread does in a wait besides sleeping: it notes the wait, and looks around now and then.
//!
//! **Deadlocks.** The wait is noted in the graph while the thread sleeps, and only then: whatever it runs meanwhile, such as a
//! signal handler, may release what it holds.
//!
//! **Lost wake-ups.** A wait that has lasted for long is looked at by Python code (`raddle._internal.lost_wakeups`), which asks
//! whether any thread is left that could end it. It is asked twice, and tells only of what it sees both times. Short waits, and
//! those who wake others, know nothing of all this.

use super::deadlock::{self, Paused};
use super::tasks::InLoop;
use super::wanted::Wanted;
use crate::ffi;
use crate::interpreter::{self, Naps, names};
use crate::worker::task_deadline;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use raddle_sync::graph::{Graph, Registration};
use raddle_sync::{Waitable, Waiter};
use std::sync::Arc;

/// How long something has looked like a deadlock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Suspicion {
    Fresh,
    Lasting,
}

/// One wait, for as long as it lasts.
pub(crate) struct Watch<W> {
    waiter: Arc<Waiter>,
    wanted: Arc<Wanted<W>>,
    /// Whether it ends by itself.
    pub(crate) timed: bool,
    /// It takes back what it has to have: it is no member of a circle who could give way.
    returns: bool,
    /// What has been told of a deadlock that is no error here, or not yet.
    suspicion: Option<Suspicion>,
    /// What the last look saw, if it looked as if nobody could end the wait.
    seen: Option<Py<PyAny>>,
    /// While the wait is noted, at least: the graph asks it.
    in_loop: Option<InLoop>,
}

impl<W: Waitable + 'static> Watch<W> {
    /// `ends_by_itself`: it has a deadline of its own; that of the task which the thread runs counts too.
    pub(crate) fn new(waiter: &Arc<Waiter>, wanted: &Arc<Wanted<W>>, ends_by_itself: bool) -> Self {
        let timed = ends_by_itself || task_deadline().get().is_some();
        let (waiter, wanted) = (Arc::clone(waiter), Arc::clone(wanted));
        Self { waiter, wanted, timed, returns: false, suspicion: None, seen: None, in_loop: None }
    }

    /// For one who takes back what it gave away for a wait, however long that takes.
    pub(crate) fn of_return(waiter: &Arc<Waiter>, wanted: &Arc<Wanted<W>>) -> Self {
        Self { returns: true, ..Self::new(waiter, wanted, false) }
    }

    fn waits_for(&self) -> Arc<dyn Waitable> {
        Arc::clone(&self.wanted) as Arc<dyn Waitable>
    }

    /// Notes the wait. When it closes a deadlock, that is told, and an error unless it is a suspicion that the user wants no
    /// error for. A suspicion is told once a wait, and again when it has proved to last. So is a circle through one who can't
    /// give way, who gets no `DeadlockError` for it; after any other error it may call this again.
    pub(crate) fn note(&mut self, py: Python<'_>, naps: &Naps) -> PyResult<Registration> {
        let graph = Graph::of_process();
        // The one that is said already would have the last word.
        drop(self.in_loop.take());
        self.in_loop = InLoop::of_current_thread(py)?;
        match graph.begin(&self.waiter, self.waits_for(), self.timed) {
            Ok(noted) => Ok(noted),
            Err(cycle) => {
                let suspicion = if naps.are_long() { Suspicion::Lasting } else { Suspicion::Fresh };
                // A thread that takes its own lock again, for another one to release it, comes here each time.
                let told = !cycle.presumed || suspicion == Suspicion::Lasting || deadlock::suspicions_raise();
                let goes_on = cycle.presumed || self.returns;
                if told && !(goes_on && self.suspicion.replace(suspicion) == Some(suspicion)) {
                    deadlock::report(py, &cycle, suspicion == Suspicion::Lasting, self.returns)?;
                }
                Ok(graph.insist(&self.waiter, self.waits_for(), self.timed))
            }
        }
    }

    /// Looks around after a nap: for lost wake-ups, signals, and exceptions sent to the thread.
    pub(crate) fn look(
        &mut self,
        py: Python<'_>,
        noted: Option<Registration>,
        naps: &mut Naps,
    ) -> PyResult<()> {
        // From here on it runs foreign code.
        drop(noted);
        let _paused = Paused::new(self.waits_for(), self.timed);
        interpreter::look(py)?;
        let before = self.seen.take();
        let unsettled = !self.timed && (naps.are_long() || before.is_some());
        if unsettled && self.waiter.is_queued() && !self.wanted.is_over() {
            self.seen = self.look_for_lost_wakeups(py, before)?;
            if self.seen.is_some() {
                naps.look_again();
            }
        }
        Ok(())
    }

    /// Returns what it saw, to be compared with the next look; None when there is nothing to be told, any more or yet.
    fn look_for_lost_wakeups(
        &self,
        py: Python<'_>,
        before: Option<Py<PyAny>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        // This thread too: it sleeps, as far as the others are concerned.
        let asleep = Graph::of_process().sleepers(self.waiter.owner()) + 1;
        let wanted = self.wanted.subject.object.clone_ref(py);
        match ffi::invoke(names(py).tell_of_lost_wakeups.bind(py), (wanted, asleep, before)) {
            Ok(seen) => Ok((!seen.is_none()).then(|| seen.unbind())),
            // What is no failure was sent to the thread, or raised by a signal handler.
            Err(error) if error.is_instance_of::<PyException>(py) => {
                error.write_unraisable(py, None);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
