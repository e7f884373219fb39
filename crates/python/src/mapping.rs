//! The iterator behind an executor's `map`: reads the input, hands out the results.
//!
//! Whatever a signal handler raises while it waits leaves everything as it is: the next call goes on where this one was.

use crate::context::Context;
use crate::executor::ThreadPool;
use crate::ffi;
use crate::interpreter::{self, deadline, error, names};
use crate::item_tasks::ItemTasks;
use crate::process::batches::{BatchOptions, Batches};
use crate::process::lending;
use crate::process::pool::ProcessPool;
use crate::turns::{ItemOutcome, Turns};
use pyo3::exceptions::{PyException, PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use raddle_sync::{Moment, Mutex, WaitWord, Wake};
use raddle_sys::fork;
use raddle_task::map::{Map, Order, Take};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Who works on the items.
enum Work {
    Turns(Arc<Turns>),
    Tasks(Arc<ItemTasks>),
    Batches(Arc<Batches>),
}

/// An executor that a map is to run on.
pub(crate) enum Executor<'a, 'py> {
    Threads(&'a Bound<'py, ThreadPool>),
    Processes(&'a Bound<'py, ProcessPool>),
    /// One that has no map of its own: each item is a task.
    Other(&'a Bound<'py, PyAny>),
}

impl Executor<'_, '_> {
    fn to_any(&self) -> Py<PyAny> {
        match self {
            Self::Threads(executor) => executor.as_any().clone().unbind(),
            Self::Processes(executor) => executor.as_any().clone().unbind(),
            Self::Other(executor) => (*executor).clone().unbind(),
        }
    }
}

impl Work {
    fn map(&self) -> &Map<Py<PyAny>, ItemOutcome> {
        match self {
            Self::Turns(turns) => &turns.map,
            Self::Tasks(tasks) => &tasks.map,
            Self::Batches(batches) => &batches.map,
        }
    }

    fn function(&self) -> &Py<PyAny> {
        match self {
            Self::Turns(turns) => &turns.function,
            Self::Tasks(tasks) => &tasks.function,
            Self::Batches(batches) => &batches.function,
        }
    }

    /// Whether the iterator alone has a share in it.
    fn is_idle(&self) -> bool {
        match self {
            Self::Turns(turns) => Arc::strong_count(turns) == 1,
            Self::Tasks(tasks) => Arc::strong_count(tasks) == 1,
            Self::Batches(batches) => Arc::strong_count(batches) == 1,
        }
    }

    /// No further item is begun; results that nobody took are dropped.
    fn close(&self, py: Python<'_>) {
        match self {
            Self::Turns(turns) => drop(turns.map.close()),
            Self::Tasks(tasks) => {
                drop(tasks.map.close());
                tasks.cancel(py);
            }
            Self::Batches(batches) => batches.close(),
        }
    }

    /// Publishes what has come and nobody has looked at; returns whether there was anything. Raises what is no `Exception`.
    fn unpack(&self, py: Python<'_>) -> PyResult<bool> {
        if let Self::Batches(batches) = self { batches.unpack(py) } else { Ok(false) }
    }

    /// Whether a worker process that waits for it gives its place away.
    fn lends_place(&self) -> bool {
        if let Self::Tasks(tasks) = self { tasks.lends_place() } else { false }
    }

    /// Sleeps until a result may have come since `seen`.
    fn sleep(&self, seen: u32, until: Option<Moment>) -> Wake {
        match self {
            Self::Batches(batches) => batches.sleep(seen, until),
            _ => self.map().sleep(seen, until),
        }
    }
}

/// Where further items come from.
struct Source {
    iterator: Py<PyIterator>,
    /// What is kept alive while it has work to do.
    executor: Py<PyAny>,
    /// What schedules an item that is a task of its own.
    submit: Option<Py<PyAny>>,
    /// An item that has been read and could not be submitted yet.
    held: Option<Py<PyAny>>,
    /// What the input or a submission raised; it comes up after the results of the items before it.
    error: Option<PyErr>,
}

/// What came of an attempt to read one item.
enum Step {
    /// It is being worked on.
    Fed,
    /// Nothing was read: another thread is at it, or an error is to come up.
    Nothing,
    /// The executor is full, says this error: there is room again when an item has ended.
    Full(PyErr),
    /// The input has ended.
    End,
}

impl Source {
    /// Reads an item and sees to it that somebody works on it.
    ///
    /// Raises what is no `Exception`, such as an interrupt, at once, and losing nothing.
    fn advance(&mut self, py: Python<'_>, work: &Work) -> PyResult<Step> {
        if self.error.is_some() {
            return Ok(Step::Nothing);
        }
        let item = match self.held.take() {
            Some(item) => item.into_bound(py),
            None => match ffi::next(self.iterator.bind(py)) {
                Ok(Some(item)) => item,
                Ok(None) => return Ok(Step::End),
                Err(raised) => return self.put_off(py, raised),
            },
        };
        let refused = match (work, &self.submit) {
            (Work::Tasks(tasks), Some(submit)) => tasks.feed(submit.bind(py), item.cast::<PyTuple>()?).err(),
            (Work::Turns(turns), _) => {
                let executor = self.executor.bind(py).cast::<ThreadPool>()?;
                return turns.feed(py, executor.get(), item.unbind()).map(|()| Step::Fed);
            }
            (Work::Batches(batches), _) => return batches.feed(py, item.unbind()).map(|()| Step::Fed),
            (Work::Tasks(_), None) => unreachable!("tasks come with what submits them"),
        };
        let Some(refused) = refused else { return Ok(Step::Fed) };
        if refused.is_instance(py, names(py).executor_full.bind(py)) {
            self.held = Some(item.unbind());
            return Ok(Step::Full(refused));
        }
        if !refused.is_instance_of::<PyException>(py) {
            self.held = Some(item.unbind());
        }
        self.put_off(py, refused)
    }

    fn put_off(&mut self, py: Python<'_>, raised: PyErr) -> PyResult<Step> {
        if raised.is_instance_of::<PyException>(py) {
            self.error = Some(raised);
            Ok(Step::Nothing)
        } else {
            Err(raised)
        }
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.iterator)?;
        visit.call(&self.executor)?;
        visit.call(&self.submit)?;
        visit.call(&self.held)
    }
}

/// Where a map stands with its input.
enum Input {
    /// Kept only for as long as there may be further items: who drops the executor ends its threads.
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

/// What a consumer finds of the input when it has taken every result.
enum Rest {
    Over,
    /// It ended with this error.
    Failed(PyErr),
    /// Another thread is reading it.
    Elsewhere,
    /// There may be more for this thread to read.
    Here,
}

/// How long a thread sleeps that finds another one reading the input which it needs.
const READING_PAUSE: Duration = Duration::from_millis(1);

/// Yields the results of a map. Closing it, or dropping it, cancels the items that have not begun.
#[pyclass(frozen, weakref, module = "raddle._raddle")]
pub(crate) struct MapIterator {
    work: Work,
    /// The process whose workers work on it, as a fork epoch.
    epoch: u32,
    /// Dropping the iterator cancels only once results have been asked for, as with the stdlib's generator.
    started: AtomicBool,
    input: Mutex<Input>,
    /// How far the input is read ahead of the results taken; None: all of it is read at once.
    buffersize: Option<u64>,
    deadline: Option<Moment>,
    return_exceptions: bool,
}

/// How `map` was called.
pub(crate) struct MapOptions {
    /// What schedules an item as a task of its own, as `submit(fn, args, kwargs)`; None: workers take turns.
    pub(crate) submit: Option<Py<PyAny>>,
    pub(crate) timeout: Option<f64>,
    pub(crate) turn: Option<usize>,
    pub(crate) buffersize: Option<u64>,
    pub(crate) ordered: bool,
    pub(crate) return_exceptions: bool,
    pub(crate) spread: bool,
    pub(crate) priority: i32,
}

impl MapIterator {
    /// Starts a map: reads the whole input, or the first `buffersize` items.
    pub(crate) fn start(
        executor: &Executor<'_, '_>,
        function: &Bound<'_, PyAny>,
        items: &Bound<'_, PyIterator>,
        options: MapOptions,
    ) -> PyResult<Self> {
        let py = function.py();
        let map = Map::new(if options.ordered { Order::Input } else { Order::Completion });
        let MapOptions { spread, turn, priority, buffersize, .. } = options;
        let work = match executor {
            _ if options.submit.is_some() => {
                Work::Tasks(Arc::new(ItemTasks::new(map, function.clone().unbind())))
            }
            Executor::Threads(pool) => {
                pool.get().check_open(py)?;
                let function = function.clone().unbind();
                let context = Context::capture(py)?;
                Work::Turns(Arc::new(Turns { map, function, context, spread, turn, priority }))
            }
            Executor::Processes(pool) => {
                let share = pool.get().share()?;
                share.check_open(py)?;
                let options = BatchOptions { spread, size: turn, buffersize, priority };
                Work::Batches(Batches::new(map, function, share, &options)?)
            }
            Executor::Other(_) => return Err(PyTypeError::new_err("the executor has no map of its own")),
        };
        let source = Source {
            iterator: items.clone().unbind(),
            executor: executor.to_any(),
            submit: options.submit,
            held: None,
            error: None,
        };
        let iterator = Self {
            work,
            epoch: fork::epoch(),
            started: AtomicBool::new(false),
            input: Mutex::new(Input::More(source)),
            buffersize: options.buffersize,
            deadline: deadline(options.timeout)?,
            return_exceptions: options.return_exceptions,
        };
        let mut filled = iterator.fill(py, false);
        if filled.is_ok()
            && options.buffersize.is_none()
            && let Rest::Failed(error) = iterator.rest()
        {
            // Nothing more will be read: what the input raised is the caller's to see now, as in the stdlib.
            filled = Err(error);
        }
        match filled {
            Ok(()) => Ok(iterator),
            Err(error) => {
                iterator.end(py);
                Err(error)
            }
        }
    }

    /// Reads as far ahead as it may. A full executor ends that early: an error only if the caller insists, because no
    /// result is left to come.
    fn fill(&self, py: Python<'_>, insist: bool) -> PyResult<()> {
        while self.buffersize.is_none_or(|limit| self.work.map().ahead() < limit) {
            match self.read_one(py)? {
                Step::Fed => {}
                Step::Full(error) if insist && self.work.map().ahead() == 0 => return Err(error),
                Step::Full(_) | Step::Nothing | Step::End => break,
            }
        }
        Ok(())
    }

    fn read_one(&self, py: Python<'_>) -> PyResult<Step> {
        let mut source = {
            let mut input = self.input.lock();
            match input.take(Input::Reading) {
                Input::More(source) => source,
                other => {
                    *input = other;
                    return Ok(Step::Nothing);
                }
            }
        };
        let mut step = source.advance(py, &self.work);
        let left = match &step {
            Ok(Step::End) => {
                drop(source);
                if let Work::Batches(batches) = &self.work
                    && let Err(raised) = batches.finish(py)
                {
                    step = Err(raised);
                }
                Input::Exhausted
            }
            _ => Input::More(source),
        };
        let mut input = self.input.lock();
        let closed = matches!(*input, Input::Exhausted);
        let stale = if closed { left } else { input.take(left) };
        drop(input);
        drop(stale);
        if closed {
            // Somebody ended the iteration while an item was on its way.
            self.work.close(py);
            return Ok(Step::Nothing);
        }
        if let Err(raised) = &step
            && raised.is_instance_of::<PyException>(py)
        {
            // The executor takes nothing any more: nobody would work on what has just been fed.
            self.end(py);
        }
        step
    }

    /// What is left of the input. An error is told once; the input has ended then.
    fn rest(&self) -> Rest {
        let mut input = self.input.lock();
        match input.take(Input::Exhausted) {
            Input::Exhausted => Rest::Over,
            Input::More(mut source) if source.error.is_some() => {
                // The source's other references are not dropped under the lock.
                drop(input);
                source.error.take().map_or(Rest::Over, Rest::Failed)
            }
            other => {
                let rest = if matches!(other, Input::Reading) { Rest::Elsewhere } else { Rest::Here };
                *input = other;
                rest
            }
        }
    }

    /// The deadline is over.
    fn time_out(&self, py: Python<'_>) -> PyErr {
        self.end(py);
        error(py, &names(py).timeout_error, "")
    }

    fn end(&self, py: Python<'_>) {
        if self.epoch != fork::epoch() {
            // The map's lock may be held for ever.
            return;
        }
        // Not dropped under the lock: the iterator's own end may run anything.
        let input = self.input.lock().take(Input::Exhausted);
        drop(input);
        self.work.close(py);
    }

    /// Hands out a result, reading as many items as may now be read.
    fn deliver(&self, py: Python<'_>, outcome: ItemOutcome) -> PyResult<Py<PyAny>> {
        let failure = match outcome {
            Some(Err(exception)) if !self.return_exceptions => {
                as_raised(py, PyErr::from_value(exception.into_bound(py).into_any()))
            }
            None => PyErr::from_type(names(py).cancelled_error.bind(py).clone(), ()),
            Some(result) => {
                if let Err(raised) = self.fill(py, false) {
                    // Too late where the error is the end of it.
                    drop(self.work.map().put_back(Some(result)));
                    return Err(raised);
                }
                return Ok(result.unwrap_or_else(Py::into_any));
            }
        };
        self.end(py);
        Err(failure)
    }
}

/// What an iterator raises for an item's exception: a `StopIteration` would end it as if there were no more results. Generators do
/// the same (PEP 479), and so does the stdlib's map.
fn as_raised(py: Python<'_>, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyStopIteration>(py) {
        return error;
    }
    let raised = PyRuntimeError::new_err("an item of the map raised StopIteration");
    raised.set_cause(py, Some(error));
    raised
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
            match self.work.map().take() {
                Take::Ready(outcome) => return self.deliver(py, outcome).map(Some),
                Take::Wait(seen) => {
                    if self.work.unpack(py)? {
                        continue;
                    }
                    let _lent = lending::lend(py, self.work.lends_place());
                    if !interpreter::sleep(py, self.deadline, |until| self.work.sleep(seen, until))? {
                        return Err(self.time_out(py));
                    }
                }
                Take::Empty => match self.rest() {
                    // The last items may have been fed between the two looks.
                    Rest::Over => match self.work.map().take() {
                        Take::Ready(outcome) => return self.deliver(py, outcome).map(Some),
                        Take::Wait(_) => {}
                        Take::Empty => return Ok(None),
                    },
                    Rest::Failed(raised) => return Err(raised),
                    Rest::Elsewhere => {
                        if self.deadline.is_some_and(|deadline| deadline <= Moment::now()) {
                            return Err(self.time_out(py));
                        }
                        let pause = Some(Moment::now() + READING_PAUSE);
                        interpreter::sleep(py, pause, |until| WaitWord::new(0).wait(0, until))?;
                    }
                    Rest::Here => self.fill(py, true)?,
                },
            }
        }
    }

    /// Ends the iteration: items that have not begun are cancelled, results that nobody took are dropped.
    fn close(&self, py: Python<'_>) {
        self.end(py);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // While a worker has a share in the work, what it needs must not look like garbage.
        if self.work.is_idle() {
            visit.call(self.work.function())?;
            let mut visited = Ok(());
            self.work.map().try_inspect(|results| {
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
            source.traverse(&visit)?;
        }
        Ok(())
    }

    /// `(items read, items done)` so far.
    #[getter]
    fn progress(&self) -> (u64, u64) {
        let progress = self.work.map().progress();
        (progress.fed, progress.done)
    }
}

/// Starts a map over `items`, tuples of arguments, on an executor that has no map of its own: `submit(fn, args, kwargs)` makes each
/// a task.
#[pyfunction]
#[pyo3(signature = (executor, r#fn, items, /, *, submit, timeout, buffersize, ordered, return_exceptions))]
#[expect(clippy::too_many_arguments, reason = "one for each option of map")]
pub(crate) fn map_tasks(
    executor: &Bound<'_, PyAny>,
    r#fn: &Bound<'_, PyAny>,
    items: &Bound<'_, PyIterator>,
    submit: Py<PyAny>,
    timeout: Option<f64>,
    buffersize: Option<u64>,
    ordered: bool,
    return_exceptions: bool,
) -> PyResult<MapIterator> {
    let (submit, spread, turn, priority) = (Some(submit), true, None, 0);
    let options =
        MapOptions { submit, timeout, turn, buffersize, ordered, return_exceptions, spread, priority };
    MapIterator::start(&Executor::Other(executor), r#fn, items, options)
}

impl Drop for MapIterator {
    fn drop(&mut self) {
        if *self.started.get_mut() {
            // Without an interpreter nobody is left to be told.
            let _ = Python::try_attach(|py| {
                // It may be dropped while an exception is on its way up, which is not to be touched.
                let raised = PyErr::take(py);
                self.end(py);
                if let Some(raised) = raised {
                    raised.restore(py);
                }
            });
        }
    }
}
