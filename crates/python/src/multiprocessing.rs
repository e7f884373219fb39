//! What `raddle.multiprocessing` is made of: the primitives of `raddle-process` as Python classes.
//!
//! Each class is the native half of one in Python, which adds the stdlib's constructor and how it is passed to other processes. A
//! primitive is tried at once, in one native call; only who has to wait lets go of the interpreter.
//!
//! | module | what it is |
//! |---|---|
//! | [`names`] | what is defined in Python and needed here |
//! | [`lock`] | `Lock` and `RLock` |
//! | [`semaphore`], [`event`], [`waiters`] | semaphores, `Event`, the queue of a `Condition` |
//! | [`queue`] | queues |
//! | [`pipe`] | messages over pipes and sockets |
//! | [`calls`] | what goes between a manager and its proxies |
//! | [`encoding`] | how an object becomes a message, and the reverse |
//! | [`short_cuts`] | the short ways of what nobody else wants |

pub(crate) mod calls;
mod encoding;
pub(crate) mod event;
pub(crate) mod lock;
pub(crate) mod names;
pub(crate) mod pipe;
pub(crate) mod queue;
pub(crate) mod semaphore;
mod short_cuts;
pub(crate) mod waiters;

use crate::interpreter;
use crate::threading::timeout::Patience;
use pyo3::prelude::*;
use raddle_sync::{Moment, Wake};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Makes at import what would otherwise be made at its first use, where a fork could catch it half made.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    raddle_process::primitives::slab::prepare();
    short_cuts::prepare(py)
}

/// How a primitive is named to another process: a descriptor, which stays this process's, and an offset.
type Name = (i32, usize);

fn name((fd, offset): (BorrowedFd<'_>, usize)) -> Name {
    (fd.as_raw_fd(), offset)
}

fn os_error(error: std::io::Error) -> PyErr {
    error.into()
}

/// Waits as long as the caller is patient, after a first try that brought nothing. Returns whether it was woken.
fn wait(py: Python<'_>, patience: Patience, sleep: impl Fn(Option<Moment>) -> Wake + Sync) -> PyResult<bool> {
    match patience {
        Patience::Never => Ok(false),
        Patience::Until(deadline) => interpreter::sleep(py, deadline, sleep),
    }
}

/// From the arguments of `acquire(block=True, timeout=None)`.
fn patience(block: bool, timeout: Option<f64>) -> PyResult<Patience> {
    if block { Patience::of_wait(timeout) } else { Ok(Patience::Never) }
}
