//! The wait for what a future brings.
//!
//! It takes part in the graph of who waits for whom: while a worker runs the task, that worker must act before the wait can
//! end. Nobody else can end it, for only the worker that runs a task settles its future; a task with a timeout, which ends
//! by itself, has no such worker ([`Future::runner`](crate::future::Future)). A task that waits for its turn waits for
//! whichever worker takes it, and so for nobody.
//!
//! Most waits for a task are over before they would be worth a note, so the first nap goes without. A circle is found all the
//! same, when the last of its members has been noted.

use crate::future::Future;
use crate::interpreter::{Nap, Naps};
use crate::process::lending;
use crate::threading::wanted::Wanted;
use crate::threading::watch::Watch;
use pyo3::prelude::*;
use raddle_sync::{Moment, Owner, Waitable, Waiter, Wake};
use std::sync::Arc;

/// The outcome of a task.
struct Outcome(Py<Future>);

impl Waitable for Outcome {
    fn attempt(&self, waiter: &Arc<Waiter>) -> bool {
        let over = self.is_over();
        if over {
            waiter.reset();
        } else {
            waiter.stand_by();
        }
        over
    }

    fn abandon(&self, waiter: &Arc<Waiter>) -> bool {
        waiter.reset();
        false
    }

    fn holders(&self, _waiter: Owner, visit: &mut dyn FnMut(Owner)) {
        self.0.get().runner().into_iter().for_each(visit);
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn is_over(&self) -> bool {
        self.0.get().is_done()
    }
}

/// Sleeps until `future` is done ([`Nap::Woken`] of `sleep`): true; false when `deadline` passed.
pub(crate) fn sleep(
    future: &Bound<'_, Future>,
    deadline: Option<Moment>,
    sleep: impl Fn(Option<Moment>) -> Wake + Sync,
) -> PyResult<bool> {
    let py = future.py();
    let _released = raddle_pool::release();
    let _lent = lending::lend(py, future.get().lends_place());
    let mut naps = Naps::of_short_wait(deadline.is_some());
    match naps.sleep(py, deadline, &sleep) {
        Nap::Woken => return Ok(true),
        Nap::TimedOut => return Ok(false),
        Nap::Unrested => {}
    }
    let waiter = Waiter::thread(Owner::current_thread());
    let wanted = Wanted::by_thread(future.as_any(), Outcome(future.clone().unbind()));
    let mut watch = Watch::new(&waiter, &wanted, deadline.is_some());
    watch.look(py, None, &mut naps)?;
    while !wanted.attempt(&waiter) {
        let noted = watch.note(py, &naps)?;
        match naps.sleep(py, deadline, &sleep) {
            Nap::Woken => return Ok(true),
            Nap::TimedOut => return Ok(false),
            Nap::Unrested => watch.look(py, Some(noted), &mut naps)?,
        }
    }
    Ok(true)
}
