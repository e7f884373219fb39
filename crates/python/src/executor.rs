//! `ThreadPool`, the native half of `raddle.futures.ThreadPoolExecutor`.

use crate::context::Context;
use crate::ending::{gate_is_closed, register};
use crate::ffi;
use crate::future::Future;
use crate::interpreter::{self, error, names};
use crate::job::{self, Call, Job};
use crate::managed::Managed;
use crate::mapping::{Executor, MapIterator, MapOptions};
use crate::options::TaskOptions;
use crate::runtime::PythonRuntime;
use crate::shelf::Shelved;
use crate::turns::Turns;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use raddle_pool::{Pool, Submit};
use raddle_sync::{ForkCell, Moment};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// What the pool was made with, for a child that has to make it again.
struct Native {
    pool: ForkCell<Arc<Pool<PythonRuntime>>>,
    workers: Py<PyAny>,
    max_pending: Option<usize>,
    raises_when_full: bool,
    target: AtomicUsize,
    /// Kept for a forked child, whose pool is a fresh one.
    closed: AtomicBool,
}

impl Native {
    fn make(workers: &Py<PyAny>, target: usize, max_pending: Option<usize>) -> Arc<Pool<PythonRuntime>> {
        let runtime = PythonRuntime::new(Python::attach(|py| workers.clone_ref(py)));
        let pool = Pool::new(runtime, target, max_pending);
        register(&pool);
        pool
    }

    fn pool(&self) -> &Arc<Pool<PythonRuntime>> {
        self.pool.get(|| {
            let pool = Self::make(&self.workers, self.target.load(Ordering::Relaxed), self.max_pending);
            if self.closed.load(Ordering::Relaxed) {
                pool.drain();
            }
            pool
        })
    }
}

/// The native half of `raddle.futures.ThreadPoolExecutor`. Safe across threads; in a forked child it starts afresh.
#[pyclass(subclass, frozen, module = "raddle._raddle")]
pub(crate) struct ThreadPool {
    native: OnceLock<Native>,
}

impl ThreadPool {
    fn native(&self) -> PyResult<&Native> {
        let missing =
            || PyRuntimeError::new_err("the executor was never initialised: call super().__init__() first");
        self.native.get().ok_or_else(missing)
    }

    fn refusal(py: Python<'_>, pool: &Pool<PythonRuntime>) -> PyErr {
        if let Some(reason) = pool.runtime().broken.get() {
            let message = reason.bind(py).to_string();
            return error(py, &names(py).broken_pool, message);
        }
        PyRuntimeError::new_err(if gate_is_closed() {
            "cannot schedule new futures after interpreter shutdown"
        } else {
            "cannot schedule new futures after shutdown"
        })
    }

    /// The error for a job that came back because no thread could be started. It may be a rival's: its future fails too.
    fn no_worker(py: Python<'_>, job: Job, error: io::Error) -> PyErr {
        let error = error.downcast::<PyErr>().unwrap_or_else(PyErr::from);
        job.fail(py, error.value(py).as_unbound());
        error
    }

    /// An error unless the pool takes tasks.
    pub(crate) fn check_open(&self, py: Python<'_>) -> PyResult<()> {
        let pool = self.native()?.pool();
        if pool.is_draining() || gate_is_closed() { Err(Self::refusal(py, pool)) } else { Ok(()) }
    }

    pub(crate) fn target(&self) -> usize {
        self.native.get().map_or(0, |native| native.target.load(Ordering::Relaxed))
    }

    /// Queues a job, waiting for room where the queue is bounded.
    fn enqueue(&self, py: Python<'_>, mut job: Job, priority: i32) -> PyResult<()> {
        let native = self.native()?;
        let pool = native.pool();
        if gate_is_closed() {
            return Err(Self::refusal(py, pool));
        }
        loop {
            match pool.submit(job, priority) {
                Ok(()) => return Ok(()),
                Err(Submit::Closed(_)) => return Err(Self::refusal(py, pool)),
                Err(Submit::NoWorker(job, error)) => return Err(Self::no_worker(py, job, error)),
                Err(Submit::Full(..)) if native.raises_when_full => {
                    let limit = native.max_pending.unwrap_or_default();
                    let message = format!(
                        "{limit} tasks are waiting already (max_pending={limit}); submit later, \
                         or make the executor with on_full=\"block\""
                    );
                    return Err(error(py, &names(py).executor_full, message));
                }
                Err(Submit::Full(returned, seen)) => {
                    job = returned;
                    interpreter::sleep(py, None, |until| pool.wait_for_space(seen, until))?;
                }
            }
        }
    }

    /// Queues a turn at a map for a worker that has a place there; the map bounds its own input.
    pub(crate) fn enqueue_turn(&self, py: Python<'_>, turns: &Arc<Turns>) -> PyResult<()> {
        let pool = self.native()?.pool();
        let turn = Job::Turn(Arc::clone(turns));
        pool.submit_unbounded(turn, turns.priority).map_err(|refused| match refused {
            // Failed, the job that came back gives its place back itself. If it is a rival's, the rival sees to this one.
            Submit::NoWorker(job, error) => Self::no_worker(py, job, error),
            Submit::Closed(_) | Submit::Full(..) => {
                turns.map.resign();
                Self::refusal(py, pool)
            }
        })
    }

    fn call<'py>(
        label: Option<&Bound<'py, PyAny>>,
        function: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<(Bound<'py, Future>, Call)> {
        let py = function.py();
        let label = label.cloned().or_else(|| ffi::code_of(&function)).or_else(|| name_of(&function));
        let future = Future::for_task(py, label.as_ref())?;
        let call = Call {
            future: future.clone().unbind(),
            function: function.unbind(),
            args: args.unbind(),
            kwargs: kwargs.map(Bound::unbind),
            context: Context::capture(py)?,
        };
        Ok((future, call))
    }
}

/// What a callable that is no Python function is called, or else its type.
pub(crate) fn name_of<'py>(callable: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let own = callable.getattr("__qualname__").ok();
    let own = own.filter(PyAnyMethods::is_instance_of::<PyString>);
    own.or_else(|| callable.get_type().qualname().ok().map(Bound::into_any))
}

#[pymethods]
impl ThreadPool {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { native: OnceLock::new() }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(native) = self.native.get() else { return Ok(()) };
        visit.call(&native.workers)?;
        match native.pool.peek() {
            // While others have a share in the pool, what they need must not look like garbage.
            Some(pool) if Arc::strong_count(pool) == 1 => visit.call(&pool.runtime().workers),
            _ => Ok(()),
        }
    }

    /// Gives the pool its size and the object that makes its threads; called by `__init__`.
    #[pyo3(signature = (workers, max_workers, max_pending, raises_when_full))]
    fn _open(
        &self,
        workers: Py<PyAny>,
        max_workers: usize,
        max_pending: Option<usize>,
        raises_when_full: bool,
    ) {
        let pool = ForkCell::new(Native::make(&workers, max_workers, max_pending));
        let target = AtomicUsize::new(max_workers);
        let closed = AtomicBool::new(false);
        let _ = self.native.set(Native { pool, workers, max_pending, raises_when_full, target, closed });
    }

    /// Schedules `fn(*args, **kwargs)` and returns its future.
    ///
    /// Waits while `max_pending` tasks are queued, or raises `ExecutorFull`, as the executor was made.
    /// Raises `RuntimeError` after shutdown, `BrokenThreadPool` after a failed initializer.
    #[pyo3(signature = (r#fn, /, *args, **kwargs))]
    fn submit<'py>(
        &self,
        r#fn: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Future>> {
        let py = r#fn.py();
        let (future, call) = Self::call(None, r#fn, args, kwargs)?;
        self.enqueue(py, Job::Plain(call), 0)?;
        Ok(future)
    }

    /// Schedules `fn(*args, **kwargs)` with options.
    fn _submit_with<'py>(
        &self,
        options: &Bound<'py, TaskOptions>,
        r#fn: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kwargs: Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, Future>> {
        let py = r#fn.py();
        let settings = options.get();
        let name = settings.name.as_ref().map(|name| name.bind(py).as_any());
        let (future, call) = Self::call(name, r#fn, args, Some(kwargs))?;
        let task = Managed::new(call, options.clone().unbind());
        let after = settings.after.bind(py);
        if after.is_empty() {
            self.enqueue(py, Job::Managed(task), settings.priority)?;
            return Ok(future);
        }
        self.check_open(py)?;
        let pool = self.native()?.pool();
        let reservation = pool.reserve().ok_or_else(|| Self::refusal(py, pool))?;
        let ticket = pool.runtime().deferred.put((task, reservation));
        Shelved::new(&future, pool, ticket).release_after_all(after)?;
        Ok(future)
    }

    /// Starts a map over `items`; `spread` tells that they are tuples of arguments, `submit` (or None) how to make each a
    /// task of its own: `submit(fn, args, kwargs)`.
    #[pyo3(signature = (r#fn, items, *, submit, spread, timeout, turn, buffersize, ordered, return_exceptions, priority))]
    #[expect(clippy::too_many_arguments, reason = "one for each option of map")]
    fn _map(
        slf: &Bound<'_, Self>,
        r#fn: &Bound<'_, PyAny>,
        items: &Bound<'_, PyIterator>,
        submit: Option<Py<PyAny>>,
        spread: bool,
        timeout: Option<f64>,
        turn: Option<usize>,
        buffersize: Option<usize>,
        ordered: bool,
        return_exceptions: bool,
        priority: i32,
    ) -> PyResult<MapIterator> {
        let buffersize = buffersize.or(slf.get().native()?.max_pending).map(|limit| limit as u64);
        let options =
            MapOptions { submit, timeout, turn, buffersize, ordered, return_exceptions, spread, priority };
        MapIterator::start(&Executor::Threads(slf), r#fn, items, options)
    }

    /// Changes how many tasks may run at once.
    fn _resize(&self, max_workers: usize) -> PyResult<()> {
        let native = self.native()?;
        native.target.store(max_workers, Ordering::Relaxed);
        native.pool().resize(max_workers);
        Ok(())
    }

    /// Takes no further tasks; with `cancel_futures`, cancels those that have not begun. Returns at once.
    fn _close(&self, py: Python<'_>, cancel_futures: bool) -> PyResult<()> {
        let native = self.native()?;
        native.closed.store(true, Ordering::Relaxed);
        let pool = native.pool();
        if cancel_futures {
            job::cancel_all(py, pool);
        } else {
            pool.drain();
        }
        Ok(())
    }

    /// Waits until every worker has left, up to `timeout` seconds. Returns whether they have.
    ///
    /// Raises `RuntimeError` in one of the workers.
    #[pyo3(signature = (timeout = None))]
    fn _wait_ended(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let pool = self.native()?.pool();
        if raddle_pool::is_worker_of(pool) {
            return Err(PyRuntimeError::new_err(
                "a task can't wait for its own executor to end: it would wait for itself; use shutdown(wait=False)",
            ));
        }
        let deadline: Option<Moment> = interpreter::deadline(timeout)?;
        interpreter::sleep(py, deadline, |until| pool.wait_ended(until))
    }

    /// How many tasks may run at once.
    #[getter]
    fn _max_workers(&self) -> usize {
        self.target()
    }

    /// Whether the pool takes no further tasks.
    #[getter]
    fn _shutdown(&self) -> PyResult<bool> {
        Ok(self.native()?.pool().is_draining())
    }

    /// Why the pool is broken, or False.
    #[getter]
    fn _broken(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.native()?.pool().runtime().broken.get() {
            Some(reason) => Ok(reason.bind(py).str()?.into_any().unbind()),
            None => Ok(false.into_pyobject(py)?.to_owned().into_any().unbind()),
        }
    }

    /// The figures of `stats()`, by name.
    fn _stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let pool = self.native()?.pool();
        let (stats, counters) = (pool.stats(), &pool.runtime().counters);
        let figures = PyDict::new(py);
        for (name, figure) in [
            ("workers", stats.workers),
            ("busy", stats.busy),
            ("idle", stats.idle),
            ("blocked", stats.blocked + stats.abandoned),
            ("queued", stats.queued),
            ("deferred", pool.runtime().deferred.len()),
        ] {
            figures.set_item(name, figure)?;
        }
        for (name, figure) in counters.figures() {
            figures.set_item(name, figure)?;
        }
        Ok(figures)
    }
}

impl Drop for ThreadPool {
    /// As in the stdlib: an executor that nobody has any more finishes its tasks, and its workers end.
    fn drop(&mut self) {
        if let Some(pool) = self.native.get().and_then(|native| native.pool.peek()) {
            pool.drain();
        }
    }
}
