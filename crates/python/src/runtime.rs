//! The pool's runtime that is Python's: threads made in Python, jobs that need the interpreter.
//!
//! Threads are made by `raddle._internal.workers`, so that they are real `threading.Thread` objects; each calls
//! [`Seat::work`], which does not return before the worker's end.

use crate::context::forget_blank;
use crate::counters::Counters;
use crate::ffi::{self, SIGINT};
use crate::interpreter::{error, names};
use crate::job::{self, Job};
use crate::managed::Managed;
use crate::worker::Worker;
use pyo3::exceptions::{PyBaseException, PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use raddle_pool::{Pool, Reservation, Runtime};
use raddle_sync::Mutex;
use raddle_task::deferred::Deferred;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// What the pool's workers share, as far as it is Python's.
pub(crate) struct PythonRuntime {
    /// `raddle._internal.workers.Workers`: makes the threads.
    pub(crate) workers: Py<PyAny>,
    /// Tasks that wait for a dependency or for their next attempt.
    pub(crate) deferred: Deferred<(Arc<Managed>, Reservation<PythonRuntime>)>,
    pub(crate) counters: Counters,
    /// `shutdown(cancel_futures=True)` was called.
    pub(crate) cancelling: AtomicBool,
    /// Why the pool takes no further tasks: an initializer failed.
    pub(crate) broken: OnceLock<Py<PyBaseException>>,
}

impl PythonRuntime {
    pub(crate) fn new(workers: Py<PyAny>) -> Self {
        Self {
            workers,
            deferred: Deferred::default(),
            counters: Counters::default(),
            cancelling: AtomicBool::new(false),
            broken: OnceLock::new(),
        }
    }
}

impl Runtime for PythonRuntime {
    type Job = Job;
    type Local = Worker;

    fn spawn(&self, pool: &Arc<Pool<Self>>) -> io::Result<()> {
        // Also called by the timer thread, maybe after the interpreter's end.
        let started = Python::try_attach(|py| {
            let place = Mutex::new(Some(Arc::clone(pool)));
            let seat = Bound::new(py, Seat { pool: place, left: AtomicBool::new(false) })?;
            let start = self.workers.bind(py).getattr("start")?;
            let started = ffi::invoke(&start, (&seat,));
            match started {
                Ok(_) => Ok(()),
                Err(error) if seat.get().take().is_some() => Err(error),
                Err(error) => {
                    // The thread runs all the same.
                    self.unheard(io::Error::other(error), Vec::new());
                    Ok(())
                }
            }
        });
        let gone = || Err(PyRuntimeError::new_err("the interpreter is ending"));
        started.unwrap_or_else(gone).map_err(io::Error::other)
    }

    fn unheard(&self, error: io::Error, stranded: Vec<Job>) {
        Python::attach(|py| {
            let error = error.downcast::<PyErr>().unwrap_or_else(PyErr::from);
            // An interrupt that came while a thread's start was awaited must not be lost.
            if error.is_instance_of::<PyKeyboardInterrupt>(py) {
                ffi::trip_signal(SIGINT);
            }
            let reason = error.into_value(py);
            for job in stranded {
                job.fail(py, &reason);
            }
        });
    }

    fn run(&self, pool: &Arc<Pool<Self>>, job: Job, worker: &Arc<Worker>) {
        Python::attach(|py| job.run(py, pool, worker));
    }

    fn detached<R: Send>(&self, worker: &Arc<Worker>, wait: impl FnOnce() -> R + Send) -> R {
        raddle_sync::assert_unlocked();
        worker.rested();
        Python::attach(|py| py.detach(wait))
    }
}

/// A worker's place in a pool, handed to the thread that is made for it.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct Seat {
    /// Until a thread takes the seat, or its start has failed. Not longer: the thread's object keeps the seat.
    pool: Mutex<Option<Arc<Pool<PythonRuntime>>>>,
    left: AtomicBool,
}

impl Seat {
    fn take(&self) -> Option<Arc<Pool<PythonRuntime>>> {
        self.pool.lock().take()
    }

    fn work_in(&self, pool: &Arc<Pool<PythonRuntime>>, worker: Worker) {
        let post = Arc::clone(&worker.post);
        pool.work(&post, &Arc::new(worker));
        forget_blank();
        self.left.store(true, Ordering::Release);
    }
}

#[pymethods]
impl Seat {
    /// Works until the pool ends or has too many workers. Called once, by the thread that the seat was made for.
    ///
    /// Arguments: `name`, the thread's name; `thread_id`, its `threading.get_ident()`.
    /// Returns whether the pool goes on without this worker.
    fn work(&self, name: Py<PyString>, thread_id: u64) -> bool {
        let Some(pool) = self.take() else { return true };
        self.work_in(&pool, Worker::new(name.into_any(), thread_id));
        !pool.is_ours() || !pool.is_draining()
    }

    /// The initializer failed: the pool is broken, and the tasks that wait fail.
    fn give_up(&self, py: Python<'_>) {
        let Some(pool) = self.take() else { return };
        let message = "A thread initializer failed, the thread pool is not usable anymore";
        let reason = error(py, &names(py).broken_pool, message).into_value(py);
        let _ = pool.runtime().broken.set(reason.clone_ref(py));
        job::fail_all(py, &pool, &reason);
        // Nothing is left to do, but the pool counts this worker.
        self.work_in(&pool, Worker::new(py.None(), 0));
    }

    /// Whether the worker has left the pool: its thread is about to end.
    #[getter]
    fn left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }
}
