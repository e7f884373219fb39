//! The iterator behind `ThreadPoolExecutor.map`, and a worker's turn at it.

use crate::context::Context;
use crate::executor::ThreadPool;
use crate::ffi::{self, CallResult};
use crate::interpreter::{self, deadline, error, names};
use crate::job::Job;
use crate::runtime::PythonRuntime;
use crate::worker::Worker;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use raddle_pool::Pool;
use raddle_sync::{Moment, Mutex, WaitWord};
use raddle_sys::fork;
use raddle_task::map::{Map, Order, Take};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a worker stays with a map while other tasks wait.
const TURN: Duration = Duration::from_millis(2);

/// None: withdrawn before it began.
type ItemOutcome = Option<CallResult>;

/// What the workers and the consumer of one map share.
pub(crate) struct MapTask {
    map: Map<Py<PyAny>, ItemOutcome>,
    function: Py<PyAny>,
    context: Context,
    /// The items are tuples of arguments, not single arguments.
    spread: bool,
    /// Items in a turn; None: as many as fit in its time.
    turn: Option<usize>,
    priority: i32,
}

impl MapTask {
    fn call(&self, py: Python<'_>, item: &Bound<'_, PyAny>) -> CallResult {
        let function = self.function.bind(py);
        let called = self.context.run_copy(py, || match item.cast::<PyTuple>() {
            Ok(args) if self.spread => ffi::call(function, args, None),
            _ => ffi::call_one(function, item),
        });
        called.unwrap_or_else(|error| Err(error.into_value(py)))
    }

    /// A worker's turn: items until there are none, or until others want the worker.
    pub(crate) fn run(self: Arc<Self>, py: Python<'_>, pool: &Arc<Pool<PythonRuntime>>, worker: &Worker) {
        let runtime = pool.runtime();
        let mut start = worker.begin(py);
        let mut items = 0;
        let mut finished = None;
        loop {
            if runtime.cancelling.load(Ordering::Acquire) {
                self.withdraw();
            }
            let Some((index, item)) = self.map.claim(finished.take()) else {
                if self.map.leave() {
                    break;
                }
                continue;
            };
            let outcome = self.call(py, item.bind(py));
            drop(item);
            if !pool.is_ours() {
                // The item forked and has come back in the child, where the rest of the map is none of its business.
                return;
            }
            runtime.counters.count(&outcome);
            finished = Some((index, Some(outcome)));
            items += 1;
            let now = worker.end();
            worker.breathe(py, now);
            let over = self.turn.map_or(now.since(start) >= TURN, |turn| items >= turn);
            if over {
                if pool.has_ready() {
                    self.map.publish(finished.take());
                    pool.resubmit(Job::Turn(Arc::clone(&self)), self.priority);
                    return;
                }
                (start, items) = (now, 0);
            }
        }
    }

    /// Items that have not begun never will; whoever waits for their results gets `CancelledError`.
    pub(crate) fn withdraw(&self) {
        drop(self.map.withdraw(|| None));
    }

    /// Items that have not begun fail.
    pub(crate) fn fail(&self, py: Python<'_>, reason: &Py<PyBaseException>) {
        drop(self.map.withdraw(|| Some(Err(reason.clone_ref(py)))));
    }
}

/// Where further items come from.
struct Source {
    iterator: Py<PyIterator>,
    /// Only for as long as there may be further items: who drops the executor ends its threads.
    executor: Py<ThreadPool>,
    /// What the iterator raised; it comes up after the results of the items before it.
    error: Option<PyErr>,
}

/// Where a map stands with its input.
enum Input {
    More(Source),
    /// Some thread is inside the user's iterator, where no lock may be held.
    Reading,
    Exhausted,
}

impl Input {
    fn take(&mut self, left: Self) -> Self {
        std::mem::replace(self, left)
    }
}

/// How long a thread sleeps that finds another one reading the input which it needs.
const READING_PAUSE: Duration = Duration::from_millis(1);

/// Yields the results of a map. Closing it, or dropping it, cancels the items that have not begun.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct MapIterator {
    task: Arc<MapTask>,
    /// The process whose workers work on it, as a fork epoch.
    epoch: u32,
    /// Dropping the iterator cancels only once results have been asked for, as with the stdlib's generator.
    started: AtomicBool,
    input: Mutex<Input>,
    deadline: Option<Moment>,
    return_exceptions: bool,
}

/// How `map` was called.
pub(crate) struct MapOptions {
    pub(crate) timeout: Option<f64>,
    pub(crate) turn: Option<usize>,
    pub(crate) buffersize: Option<usize>,
    pub(crate) ordered: bool,
    pub(crate) return_exceptions: bool,
    pub(crate) spread: bool,
    pub(crate) priority: i32,
}

impl MapIterator {
    /// Starts a map: reads the whole input, or the first `buffersize` items.
    pub(crate) fn start(
        executor: &Bound<'_, ThreadPool>,
        function: Py<PyAny>,
        items: &Bound<'_, PyIterator>,
        options: &MapOptions,
    ) -> PyResult<Self> {
        let py = executor.py();
        let order = if options.ordered { Order::Input } else { Order::Completion };
        let task = Arc::new(MapTask {
            map: Map::new(order),
            function,
            context: Context::capture(py)?,
            spread: options.spread,
            turn: options.turn,
            priority: options.priority,
        });
        executor.get().check_open(py)?;
        let source =
            Source { iterator: items.clone().unbind(), executor: executor.clone().unbind(), error: None };
        let iterator = Self {
            task,
            epoch: fork::epoch(),
            started: AtomicBool::new(false),
            input: Mutex::new(Input::More(source)),
            deadline: deadline(options.timeout)?,
            return_exceptions: options.return_exceptions,
        };
        let mut ahead = 0;
        while options.buffersize.is_none_or(|limit| ahead < limit) && iterator.read_one(py)? {
            ahead += 1;
        }
        if options.buffersize.is_none() {
            // Everything has been read: what the input raised is the caller's to see now, as in the stdlib.
            let input = iterator.input.lock().take(Input::Exhausted);
            if let Input::More(Source { error: Some(error), .. }) = input {
                iterator.close();
                return Err(error);
            }
        }
        Ok(iterator)
    }

    /// Reads one item and sees to it that somebody works on it. False when there is none.
    fn read_one(&self, py: Python<'_>) -> PyResult<bool> {
        let mut source = {
            let mut input = self.input.lock();
            match input.take(Input::Reading) {
                Input::More(source) => source,
                other => {
                    *input = other;
                    return Ok(false);
                }
            }
        };
        let item =
            if source.error.is_some() { None } else { ffi::next(source.iterator.bind(py)).transpose() };
        let item = item.and_then(|item| item.map_err(|error| source.error = Some(error)).ok());
        let executor = source.executor.clone_ref(py);
        let left = if item.is_some() || source.error.is_some() {
            Input::More(source)
        } else {
            drop(source);
            Input::Exhausted
        };
        let mut input = self.input.lock();
        if matches!(*input, Input::Exhausted) {
            // Closed meanwhile.
            drop(input);
            drop((left, item));
            return Ok(false);
        }
        let was_reading = input.take(left);
        drop(input);
        drop(was_reading);
        let Some(item) = item else { return Ok(false) };
        self.task.map.feed(item.unbind());
        self.employ(py, executor.get())?;
        Ok(true)
    }

    /// Sends a worker to the map if it can use one more.
    fn employ(&self, py: Python<'_>, executor: &ThreadPool) -> PyResult<()> {
        if self.task.map.join(executor.target()) {
            let job = Job::Turn(Arc::clone(&self.task));
            executor.enqueue_unbounded(py, job, self.task.priority)?;
        }
        Ok(())
    }

    fn deliver(&self, py: Python<'_>, outcome: ItemOutcome) -> PyResult<Py<PyAny>> {
        match outcome {
            Some(Ok(value)) => Ok(value),
            Some(Err(exception)) if self.return_exceptions => Ok(exception.into_any()),
            Some(Err(exception)) => Err(PyErr::from_value(exception.into_bound(py).into_any())),
            None => Err(PyErr::from_type(names(py).cancelled_error.bind(py).clone(), ())),
        }
    }
}

#[pymethods]
impl MapIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if self.epoch != fork::epoch() {
            let message = "the results of this map arrive in the process that forked this one; map again in this process";
            return Err(error(py, &names(py).fork_error, message));
        }
        self.started.store(true, Ordering::Relaxed);
        loop {
            match self.task.map.take() {
                Take::Ready(outcome) => {
                    let delivered =
                        self.deliver(py, outcome).and_then(|value| self.read_one(py).map(|_| value));
                    if delivered.is_err() {
                        self.close();
                    }
                    return delivered.map(Some);
                }
                Take::Wait(seen) => {
                    match interpreter::sleep(py, self.deadline, |until| self.task.map.sleep(seen, until)) {
                        Ok(true) => {}
                        Ok(false) => {
                            self.close();
                            return Err(error(py, &names(py).timeout_error, ""));
                        }
                        // A KeyboardInterrupt that is caught cancels nothing: the next call goes on.
                        Err(signal) => return Err(signal),
                    }
                }
                Take::Empty => {
                    let mut input = self.input.lock();
                    if matches!(*input, Input::Reading) {
                        drop(input);
                        let pause = Some(Moment::now() + READING_PAUSE);
                        interpreter::sleep(py, pause, |until| WaitWord::new(0).wait(0, until))?;
                        continue;
                    }
                    let rest = input.take(Input::Exhausted);
                    drop(input);
                    return match rest {
                        Input::More(Source { error: Some(error), .. }) => Err(error),
                        _ => Ok(None),
                    };
                }
            }
        }
    }

    /// Ends the iteration: items that have not begun are cancelled, results that nobody took are dropped.
    fn close(&self) {
        if self.epoch != fork::epoch() {
            // The map's lock may be held for ever.
            return;
        }
        // Not dropped under the lock: the iterator's own end may run anything.
        let input = self.input.lock().take(Input::Exhausted);
        drop((input, self.task.map.close()));
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // While a worker has a share in the task, what it needs must not look like garbage.
        if Arc::strong_count(&self.task) == 1 {
            visit.call(&self.task.function)?;
            let mut visited = Ok(());
            self.task.map.try_inspect(|results| {
                visited = results.flatten().try_for_each(|result| match result {
                    Ok(value) => visit.call(value),
                    Err(exception) => visit.call(exception),
                });
            });
            visited?;
        }
        if let Some(input) = self.input.try_lock()
            && let Input::More(source) = &*input
        {
            visit.call(&source.iterator)?;
            visit.call(&source.executor)?;
        }
        Ok(())
    }

    /// `(items read, items done)` so far.
    #[getter]
    fn progress(&self) -> (u64, u64) {
        let progress = self.task.map.progress();
        (progress.fed, progress.done)
    }
}

impl Drop for MapIterator {
    fn drop(&mut self) {
        if *self.started.get_mut() {
            self.close();
        }
    }
}
