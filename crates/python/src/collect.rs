//! `wait` and `as_completed`: one thread that waits for many futures, Raddle's and the stdlib's mixed.
//!
//! Each future is registered once with the [`Collector`], under its number; the thread that ends it adds the number to a
//! queue. So the cost is linear in the number of futures, and a waiting thread is woken once, when it has what it needs.

use crate::ffi;
use crate::future::Future;
use crate::interpreter::{self, as_future, deadline, error, names};
use crate::observer::{End, Observer};
use crate::process::lending;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PySet, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::{Moment, Mutex, WaitWord};
use raddle_sys::fork;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

struct Arrivals {
    queue: VecDeque<usize>,
    /// How many arrivals end the wait.
    needed: usize,
    /// A failure ends the wait at once.
    until_failure: bool,
    failed: bool,
}

impl Arrivals {
    fn suffice(&self) -> bool {
        self.queue.len() >= self.needed || (self.until_failure && self.failed)
    }
}

/// Where ended futures report their numbers. Safe across threads.
pub(crate) struct Collector {
    arrivals: Mutex<Arrivals>,
    bell: WaitWord,
    /// One of the futures is such that a worker process which waits for it gives its place away.
    lends_place: AtomicBool,
}

impl Collector {
    fn new(needed: usize, until_failure: bool) -> Arc<Self> {
        let arrivals = Arrivals { queue: VecDeque::new(), needed, until_failure, failed: false };
        let (bell, lends_place) = (WaitWord::new(0), AtomicBool::new(false));
        Arc::new(Self { arrivals: Mutex::new(arrivals), bell, lends_place })
    }

    /// A future has ended, with a failure or without.
    pub(crate) fn arrive(&self, index: usize, failed: bool) {
        let mut arrivals = self.arrivals.lock();
        let before = arrivals.suffice();
        arrivals.queue.push_back(index);
        arrivals.failed |= failed;
        let rings = !before && arrivals.suffice();
        drop(arrivals);
        if rings {
            self.bell.fetch_add(1);
            self.bell.wake_all();
        }
    }

    /// Sleeps until enough have arrived; false when `deadline` comes first.
    fn sleep(&self, py: Python<'_>, deadline: Option<Moment>) -> PyResult<bool> {
        let _lent = lending::lend(py, self.lends_place.load(Ordering::Relaxed));
        loop {
            let seen = self.bell.load();
            if self.arrivals.lock().suffice() {
                return Ok(true);
            }
            if !interpreter::sleep(py, deadline, |until| self.bell.wait(seen, until))? {
                return Ok(self.arrivals.lock().suffice());
            }
        }
    }
}

/// Stands among the stdlib's `_waiters` of one of its futures.
#[pyclass(frozen, module = "raddle._raddle")]
struct StdlibWaiter {
    collector: Arc<Collector>,
    index: usize,
}

#[pymethods]
impl StdlibWaiter {
    fn add_result(&self, _future: &Bound<'_, PyAny>) {
        self.collector.arrive(self.index, false);
    }

    fn add_exception(&self, _future: &Bound<'_, PyAny>) {
        self.collector.arrive(self.index, true);
    }

    fn add_cancelled(&self, _future: &Bound<'_, PyAny>) {
        self.collector.arrive(self.index, false);
    }
}

pub(crate) fn prepare(py: Python<'_>) {
    drop(py.get_type::<StdlibWaiter>());
}

/// A registration, to be ended by [`withdraw`].
enum Registered {
    /// It had ended before.
    Arrived,
    Native,
    Stdlib(Py<StdlibWaiter>),
}

/// Done as `wait` and `as_completed` see it: a cancelled future counts once its executor has come across it.
fn is_settled(future: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Some(future) = as_future(future) {
        return Ok(future.get().is_settled());
    }
    let state: String = future.getattr("_state")?.extract()?;
    Ok(matches!(state.as_str(), "FINISHED" | "CANCELLED_AND_NOTIFIED"))
}

fn has_failed(future: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Some(future) = as_future(future) {
        return Ok(future.get().has_failed());
    }
    Ok(matches!(End::of(future)?, End::Raised(_)))
}

fn register(future: &Bound<'_, PyAny>, collector: &Arc<Collector>, index: usize) -> PyResult<Registered> {
    let py = future.py();
    if let Some(native) = as_future(future) {
        collector.lends_place.fetch_or(native.get().lends_place(), Ordering::Relaxed);
        Future::observe(native, Observer::Collector(Arc::clone(collector), index));
        return Ok(Registered::Native);
    }
    let condition = future.getattr("_condition")?;
    ffi::invoke(&condition.getattr("acquire")?, ())?;
    let registered = (|| {
        if is_settled(future)? {
            return Ok(None);
        }
        let waiter = Py::new(py, StdlibWaiter { collector: Arc::clone(collector), index })?;
        future.getattr("_waiters")?.call_method1("append", (&waiter,))?;
        Ok(Some(waiter))
    })();
    ffi::invoke(&condition.getattr("release")?, ())?;
    match registered {
        Ok(Some(waiter)) => Ok(Registered::Stdlib(waiter)),
        Ok(None) => {
            collector.arrive(index, has_failed(future)?);
            Ok(Registered::Arrived)
        }
        Err(error) => Err(error),
    }
}

fn withdraw(future: &Bound<'_, PyAny>, registered: &Registered, collector: &Arc<Collector>) -> PyResult<()> {
    match registered {
        Registered::Arrived => {}
        Registered::Native => {
            if let Some(future) = as_future(future) {
                future.get().forget(
                    |observer| matches!(observer, Observer::Collector(other, _) if Arc::ptr_eq(other, collector)),
                );
            }
        }
        Registered::Stdlib(waiter) => {
            let condition = future.getattr("_condition")?;
            ffi::invoke(&condition.getattr("acquire")?, ())?;
            let waiters = future.getattr("_waiters")?;
            let removed = match waiters.contains(waiter) {
                Ok(true) => waiters.call_method1("remove", (waiter,)).map(drop),
                other => other.map(drop),
            };
            ffi::invoke(&condition.getattr("release")?, ())?;
            removed?;
        }
    }
    Ok(())
}

/// The distinct futures of an iterable.
fn distinct<'py>(futures: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let py = futures.py();
    let set = PySet::empty(py)?;
    for future in futures.try_iter()? {
        let future = future?;
        if as_future(&future).is_none() && !future.is_instance(names(py).stdlib_future.bind(py))? {
            let kind = future.get_type();
            return Err(PyTypeError::new_err(format!("expected futures of an executor, not {kind}")));
        }
        set.add(future)?;
    }
    Ok(set.iter().collect())
}

/// Waits until the futures are done, as far as `return_when` asks; the native half of `raddle.wait`.
///
/// Arguments: `fs`, the futures; `timeout`, seconds or None; `return_when`, one of the stdlib's three constants.
/// Returns two sets, those that are done and those that are not. Raises `ValueError` for another `return_when`.
#[pyfunction]
#[pyo3(signature = (fs, timeout = None, return_when = "ALL_COMPLETED"))]
pub(crate) fn wait<'py>(
    fs: &Bound<'py, PyAny>,
    timeout: Option<f64>,
    return_when: &str,
) -> PyResult<(Bound<'py, PySet>, Bound<'py, PySet>)> {
    let py = fs.py();
    let deadline = deadline(timeout)?;
    let futures = distinct(fs)?;
    let mut open = Vec::new();
    let mut failed = false;
    for future in &futures {
        if is_settled(future)? {
            failed = failed || (return_when == "FIRST_EXCEPTION" && has_failed(future)?);
        } else {
            open.push(future);
        }
    }
    let some_done = open.len() < futures.len();
    let (needed, until_failure) = match return_when {
        "FIRST_COMPLETED" => (usize::from(!some_done), false),
        "FIRST_EXCEPTION" => (if failed { 0 } else { open.len() }, true),
        "ALL_COMPLETED" => (open.len(), false),
        other => return Err(PyValueError::new_err(format!("invalid return condition: {other:?}"))),
    };
    if needed > 0 && !open.is_empty() {
        let collector = Collector::new(needed, until_failure);
        let mut registered = Vec::with_capacity(open.len());
        let waited = open
            .iter()
            .enumerate()
            .try_for_each(|(index, future)| {
                registered.push(register(future, &collector, index)?);
                Ok(())
            })
            .and_then(|()| collector.sleep(py, deadline));
        for (future, registered) in open.iter().zip(&registered) {
            withdraw(future, registered, &collector)?;
        }
        waited?;
    }
    let (done, not_done) = (PySet::empty(py)?, PySet::empty(py)?);
    for future in &futures {
        if is_settled(future)? { done.add(future)? } else { not_done.add(future)? }
    }
    Ok((done, not_done))
}

struct Outstanding {
    /// By number; None once yielded.
    futures: Vec<Option<(Py<PyAny>, Registered)>>,
    left: usize,
}

/// Yields futures as they are done; the native half of `raddle.as_completed`.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct AsCompleted {
    collector: Arc<Collector>,
    outstanding: Mutex<Outstanding>,
    total: usize,
    deadline: Option<Moment>,
    /// The process in which the futures report, as a fork epoch.
    epoch: u32,
}

#[pymethods]
impl AsCompleted {
    /// Arguments: `fs`, the futures; `timeout`, seconds from now or None.
    #[new]
    #[pyo3(signature = (fs, timeout = None))]
    fn new(fs: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<Self> {
        let deadline = deadline(timeout)?;
        let collector = Collector::new(1, false);
        let futures = distinct(fs)?;
        let total = futures.len();
        let mut outstanding = Vec::with_capacity(total);
        for (index, future) in futures.into_iter().enumerate() {
            let registered = register(&future, &collector, index)?;
            outstanding.push(Some((future.unbind(), registered)));
        }
        let outstanding = Mutex::new(Outstanding { futures: outstanding, left: total });
        Ok(Self { collector, outstanding, total, deadline, epoch: fork::epoch() })
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if self.epoch != fork::epoch() {
            let message = "as_completed() was called in the process that forked this one; call it again in this process";
            return Err(error(py, &names(py).fork_error, message));
        }
        loop {
            let index = self.collector.arrivals.lock().queue.pop_front();
            let mut outstanding = self.outstanding.lock();
            if let Some(index) = index {
                // Gone after `close`.
                let yielded = outstanding.futures.get_mut(index).and_then(Option::take);
                outstanding.left -= usize::from(yielded.is_some());
                drop(outstanding);
                if let Some((future, _)) = yielded {
                    return Ok(Some(future));
                }
                continue;
            }
            let left = outstanding.left;
            drop(outstanding);
            if left == 0 {
                return Ok(None);
            }
            if !self.collector.sleep(py, self.deadline)? {
                let message = format!("{left} (of {}) futures unfinished", self.total);
                return Err(error(py, &names(py).timeout_error, message));
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(outstanding) = self.outstanding.try_lock() {
            for (future, _) in outstanding.futures.iter().flatten() {
                visit.call(future)?;
            }
        }
        Ok(())
    }

    /// Ends the iteration: nothing is held any more.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let futures = {
            let mut outstanding = self.outstanding.lock();
            outstanding.left = 0;
            std::mem::take(&mut outstanding.futures)
        };
        self.collector.arrivals.lock().queue.clear();
        for (future, registered) in futures.into_iter().flatten() {
            withdraw(future.bind(py), &registered, &self.collector)?;
        }
        Ok(())
    }
}

impl Drop for AsCompleted {
    fn drop(&mut self) {
        if self.epoch == fork::epoch() && self.outstanding.lock().left > 0 {
            Python::attach(|py| {
                // It may be on its way out because of an exception, which is not ours to lose.
                let pending = PyErr::take(py);
                if let Err(error) = self.close(py) {
                    error.write_unraisable(py, None);
                }
                if let Some(pending) = pending {
                    pending.restore(py);
                }
            });
        }
    }
}

/// All dependencies as futures, or an error that names what is none.
pub(crate) fn check_futures(futures: &Bound<'_, PyTuple>) -> PyResult<()> {
    distinct(futures.as_any()).map(drop)
}
