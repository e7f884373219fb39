//! `ProcessPool`, the native half of `raddle.futures.ProcessPoolExecutor`.

use crate::attempts::Attempts;
use crate::context::copy_of_current;
use crate::ending::gate_is_closed;
use crate::ffi;
use crate::future::Future;
use crate::interpreter::{self, error, names};
use crate::mapping::{Executor, MapIterator, MapOptions};
use crate::options::TaskOptions;
use crate::process::client::{Call, PythonClient, Task, cancel_all};
use crate::process::codec::{Codec, Pickled};
use crate::process::end::PoolEnd;
use crate::process::functions::{Functions, Made};
use crate::process::share::referring;
use crate::process::spec::LaunchSpec;
use crate::sent::{Home, Place};
use crate::shelf::Shelved;
use pyo3::exceptions::{PyException, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use raddle_process::channel::LARGEST;
use raddle_process::message::{self, Fields};
use raddle_process::pool::{Definition, Order, Pool, Sentence, Settings, Submit};
use raddle_process::store::{Refused, Stored};
use raddle_process::supervisor::{self, Launch};
use raddle_sync::{ForkCell, Moment, Mutex, Wake};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

/// How long one who waits for room in the arena relies on being told.
const ROOM_NAP: Duration = Duration::from_millis(20);

/// One process's share in an executor.
pub(crate) struct Share {
    pub(crate) pool: Arc<Pool<PythonClient>>,
    place: Arc<dyn Place>,
    functions: Functions,
    pub(crate) codec: Arc<Codec>,
    path: Mutex<Told>,
    launch: Launch,
    expected: Once,
    /// How many workers there are to be.
    pub(crate) workers: Arc<AtomicUsize>,
    /// How many bytes of results a worker may have under way.
    pub(crate) results_limit: usize,
}

/// Where the workers find modules, as they have been told last: with their order, or since.
#[derive(Default)]
struct Told {
    outlooks: usize,
    path: Option<Vec<u8>>,
}

struct Native {
    share: ForkCell<Result<Arc<Share>, String>>,
    settings: Settings,
    /// How many workers there are to be: at first as many as the settings say.
    workers: Arc<AtomicUsize>,
    note: Py<PyAny>,
    order: Py<PyAny>,
    raises_when_full: bool,
    /// Kept for a forked child, whose pool is a fresh one.
    closed: AtomicBool,
}

impl Native {
    fn make(&self) -> Result<Arc<Share>, String> {
        Self::share(&self.settings, &self.workers, &self.note, &self.order)
    }

    fn share(
        settings: &Settings,
        workers: &Arc<AtomicUsize>,
        note: &Py<PyAny>,
        order: &Py<PyAny>,
    ) -> Result<Arc<Share>, String> {
        let made = Python::attach(|py| {
            let codec = Arc::new(Codec::new(py)?);
            let client = PythonClient::new(Arc::clone(&codec), note.clone_ref(py), order.clone_ref(py));
            let settings = Settings { target: workers.load(Ordering::Relaxed), ..settings.clone() };
            let pool = Pool::new(client, settings.clone())?;
            crate::ending::register_processes(&pool);
            let place = Arc::new(Site(Arc::clone(&pool)));
            let functions = Functions::new(pool.definitions().clone());
            Ok(Arc::new(Share {
                pool,
                place,
                functions,
                codec,
                path: Mutex::default(),
                launch: settings.launch,
                expected: Once::new(),
                workers: Arc::clone(workers),
                results_limit: settings.results_limit,
            }))
        });
        made.map_err(|error: PyErr| error.to_string())
    }

    fn current(&self) -> PyResult<&Arc<Share>> {
        let share = self.share.get(|| {
            let share = self.make();
            if let Ok(share) = &share
                && self.closed.load(Ordering::Relaxed)
            {
                share.pool.drain();
            }
            share
        });
        share.as_ref().map_err(|error| PyOSError::new_err(error.clone()))
    }
}

impl Share {
    /// Why the pool takes nothing.
    pub(crate) fn refusal(&self, py: Python<'_>) -> PyErr {
        if let Some(broken) = self.pool.client().broken.get() {
            return broken.error(py, &self.codec);
        }
        PyRuntimeError::new_err(if gate_is_closed() {
            "cannot schedule new futures after interpreter shutdown"
        } else {
            "cannot schedule new futures after shutdown"
        })
    }

    /// An error unless the pool takes tasks.
    pub(crate) fn check_open(&self, py: Python<'_>) -> PyResult<()> {
        if self.pool.is_draining() || gate_is_closed() { Err(self.refusal(py)) } else { Ok(()) }
    }

    /// Waits until every worker has ended, and everybody has been told who waited for its tasks.
    pub(crate) fn wait_ended(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let deadline = interpreter::deadline(timeout)?;
        let client = self.pool.client();
        let ended = interpreter::sleep(py, deadline, |until| match self.pool.wait_ended(until) {
            Wake::Woken => client.wait_quiet(until),
            other => other,
        });
        client.sweep(py);
        if matches!(ended, Ok(true)) {
            client.retire(py);
        }
        ended
    }

    /// Copies what a message can't hold into the arena, waiting for room.
    fn store(&self, py: Python<'_>, parts: &[&[u8]]) -> PyResult<Arc<Stored>> {
        self.pool.reclaim();
        loop {
            // The copy may take long, and needs nothing of Python's: the buffers are held by the caller.
            match py.detach(|| self.pool.store().put(parts)) {
                Ok(stored) => return Ok(stored),
                Err(Refused::Full(seen)) => {
                    let store = self.pool.store();
                    let nap = Some(Moment::now() + ROOM_NAP);
                    interpreter::sleep(py, nap, |until| store.wait_for_room(seen, until))?;
                    self.pool.reclaim();
                }
                Err(Refused::TooLong(limit)) => {
                    let bytes: usize = parts.iter().map(|part| part.len()).sum();
                    let message = format!(
                        "{bytes} bytes of arguments are more than the executor's arena holds ({limit} bytes): make it with a \
                         larger arena_limit, or send the data in parts"
                    );
                    return Err(PyValueError::new_err(message));
                }
            }
        }
    }

    /// The definition of a function. None for a callable that changes, unless the caller insists: it is then that of the
    /// callable as it is now.
    pub(crate) fn define(
        &self,
        function: &Bound<'_, PyAny>,
        insist: bool,
    ) -> PyResult<Option<Arc<Definition>>> {
        let constant = ffi::is_constant_callable(function);
        if constant && let Some(definition) = self.functions.find(function) {
            return Ok(Some(definition));
        }
        if !constant && !insist {
            return Ok(None);
        }
        // A program's first pickle takes imports, which go on while the process that forks workers starts.
        self.expected.call_once(|| supervisor::expect(&self.launch));
        let py = function.py();
        let (dumped, kept) = referring(|| self.codec.dump_function(function));
        let (pickle, watched) = dumped?;
        let pickle = pickle.as_bytes();
        let long = pickle.len() + Fields::MOST > LARGEST;
        let parcel = if long { Some(self.store(py, &[pickle])?) } else { None };
        let inline = if long { Vec::new() } else { pickle.to_vec() };
        Ok(Some(if constant {
            self.functions.add(function, Made { pickle: inline, parcel, kept }, watched)
        } else {
            self.pool.definitions().define(inline, parcel, kept)
        }))
    }

    /// What of the current context travels.
    pub(crate) fn context(&self, py: Python<'_>) -> PyResult<Travelling> {
        let Some(context) = copy_of_current(py)? else { return Ok(Travelling::default()) };
        let (dumped, kept) = referring(|| self.codec.slow(py, "dump_context", (context,)));
        let dumped = dumped?;
        let pickle =
            if dumped.is_none() { Vec::new() } else { dumped.cast_into::<PyBytes>()?.as_bytes().to_vec() };
        Ok(Travelling { pickle, kept })
    }

    /// Tells the workers where modules are found, when the program has changed that.
    fn tell_path(&self, py: Python<'_>) -> PyResult<()> {
        let outlooks = self.codec.outlooks();
        if std::mem::replace(&mut self.path.lock().outlooks, outlooks) == outlooks {
            return Ok(());
        }
        let path = self.codec.slow(py, "dump_path", ())?.cast_into::<PyBytes>()?.as_bytes().to_vec();
        let before = self.path.lock().path.replace(path.clone());
        // At first there is no worker yet.
        if before.is_some_and(|before| before != path) && path.len() <= LARGEST {
            self.pool.announce(path);
        }
        Ok(())
    }

    /// Packs what a call takes into the body of an order.
    pub(crate) fn pack<'py>(
        &self,
        py: Python<'py>,
        context: &Travelling,
        dump: impl FnOnce() -> PyResult<Pickled<'py>>,
    ) -> PyResult<Packed> {
        let (dumped, mut kept) = referring(dump);
        let pickled = dumped?;
        kept.extend_from_slice(&context.kept);
        let context = &context.pickle;
        self.tell_path(py)?;
        let head = u64::try_from(context.len()).expect("it is in memory").to_le_bytes();
        let bytes = pickled.bytes.as_bytes();
        let mut body = Vec::with_capacity(head.len() + context.len() + bytes.len());
        body.extend_from_slice(&head);
        body.extend_from_slice(context);
        body.extend_from_slice(bytes);
        let fits = body.len() + Fields::MOST <= LARGEST;
        if pickled.buffers.is_empty() && fits {
            return Ok(Packed { body, parcel: None, kept });
        }
        let mut parts: Vec<&[u8]> = vec![if fits { &[] } else { &body }];
        parts.extend(pickled.parts());
        let parcel = Some(self.store(py, &parts)?);
        Ok(Packed { body: if fits { body } else { Vec::new() }, parcel, kept })
    }
}

/// What of a context goes to a worker.
#[derive(Default)]
pub(crate) struct Travelling {
    /// Empty when nothing does.
    pickle: Vec<u8>,
    /// The shares that it refers to.
    kept: Vec<Arc<raddle_process::share::Share>>,
}

/// The body of an order.
pub(crate) struct Packed {
    pub(crate) body: Vec<u8>,
    pub(crate) parcel: Option<Arc<Stored>>,
    /// What must live until a worker has answered.
    pub(crate) kept: Vec<Arc<raddle_process::share::Share>>,
}

/// A pool as its futures see it.
struct Site(Arc<Pool<PythonClient>>);

impl Place for Site {
    fn recall(&self, number: u64) -> bool {
        self.0.withdraw(number)
    }

    fn has_begun(&self, number: u64) -> bool {
        self.0.begun_at(number).is_some()
    }

    fn terminate(&self, number: u64) -> bool {
        self.0.terminate(number, Sentence::Terminated)
    }

    fn drive(&self, done: &dyn Fn() -> bool, deadline: Option<Moment>) -> Option<Wake> {
        self.0.drive(done, deadline)
    }

    fn stir(&self) {
        self.0.wake_leader();
    }

    fn sweep(&self, py: Python<'_>) {
        self.0.client().sweep(py);
    }
}

/// The native half of `raddle.futures.ProcessPoolExecutor`. Safe across threads; in a forked child it starts afresh.
#[pyclass(subclass, frozen, module = "raddle._raddle")]
pub(crate) struct ProcessPool {
    native: OnceLock<Native>,
}

impl ProcessPool {
    /// This process's share.
    pub(crate) fn share(&self) -> PyResult<&Arc<Share>> {
        self.native()?.current()
    }

    fn native(&self) -> PyResult<&Native> {
        let missing =
            || PyRuntimeError::new_err("the executor was never initialised: call super().__init__() first");
        self.native.get().ok_or_else(missing)
    }

    /// Queues an order, waiting for room where the queue is bounded.
    fn enqueue(&self, py: Python<'_>, mut order: Order<Task>) -> PyResult<()> {
        let native = self.native()?;
        let share = native.current()?;
        if gate_is_closed() {
            return Err(share.refusal(py));
        }
        loop {
            match share.pool.submit(order) {
                Ok(()) => return Ok(()),
                Err(Submit::Closed(_) | Submit::Broken(_)) => return Err(share.refusal(py)),
                Err(Submit::Full(..)) if native.raises_when_full => {
                    let limit = native.settings.max_pending.unwrap_or_default();
                    let message = format!(
                        "{limit} tasks are waiting already (max_pending={limit}); submit later, \
                         or make the executor with on_full=\"block\""
                    );
                    return Err(error(py, &names(py).executor_full, message));
                }
                Err(Submit::Full(returned, seen)) => {
                    order = returned;
                    interpreter::sleep(py, None, |until| share.pool.wait_for_space(seen, until))?;
                }
            }
        }
    }

    fn pack(
        share: &Share,
        function: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<(Option<Arc<Definition>>, Packed)> {
        let py = function.py();
        let definition = share.define(function, false)?;
        let context = share.context(py)?;
        let packed = share.pack(py, &context, || {
            if definition.is_some() {
                return share.codec.dump_call(args, kwargs);
            }
            let with_function = std::iter::once(function.clone()).chain(args.iter());
            share.codec.dump_call(&PyTuple::new(py, with_function.collect::<Vec<_>>())?, kwargs)
        })?;
        Ok((definition, packed))
    }

    /// Makes a future for a call and queues it, or puts it on the shelf. What can't be sent ends the future, as in the stdlib.
    fn send<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        options: Option<&Bound<'py, TaskOptions>>,
    ) -> PyResult<Bound<'py, Future>> {
        let py = function.py();
        let share = self.native()?.current()?;
        share.pool.client().sweep(py);
        share.check_open(py)?;
        let settings = options.map(Bound::get);
        let name = settings.and_then(|settings| settings.name.as_ref());
        let label = name
            .map(|name| name.bind(py).as_any().clone())
            .or_else(|| ffi::code_of(function))
            .or_else(|| crate::executor::name_of(function));
        let future = Future::for_task(py, label.as_ref())?;
        let (definition, packed) = match Self::pack(share, function, args, kwargs) {
            Ok(packed) => packed,
            Err(error) if error.is_instance_of::<PyException>(py) => {
                let _ = Future::settle(&future, Err(error.into_value(py)));
                return Ok(future);
            }
            Err(error) => return Err(error),
        };
        let number = share.pool.next_number();
        future.get().set_home(Home { place: Arc::clone(&share.place), number });
        let tried_again = options.filter(|options| options.get().retries > 0);
        let attempts = tried_again.map(|options| Box::new(Attempts::new(options.clone().unbind())));
        let order = Order {
            number,
            task: Task::Call(Call { future: future.clone().unbind(), attempts }),
            kind: message::CALL,
            function: definition,
            body: packed.body,
            parcel: packed.parcel,
            kept: packed.kept,
            timeout: settings.and_then(|settings| settings.timeout),
            priority: settings.map_or(0, |settings| settings.priority),
        };
        let after = settings.map(|settings| settings.after.bind(py)).filter(|after| !after.is_empty());
        let Some(after) = after else {
            self.enqueue(py, order)?;
            return Ok(future);
        };
        let promise = share.pool.reserve().ok_or_else(|| share.refusal(py))?;
        let ticket = share.pool.client().deferred.put((order, promise));
        Shelved::new(&future, &share.pool, ticket).release_after_all(after)?;
        Ok(future)
    }
}

#[pymethods]
impl ProcessPool {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { native: OnceLock::new() }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(native) = self.native.get() else { return Ok(()) };
        visit.call(&native.note)?;
        visit.call(&native.order)?;
        match native.share.peek() {
            Some(Ok(share)) => share.functions.traverse(&visit),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        if let Some(Ok(share)) = self.native.get().and_then(|native| native.share.peek()) {
            share.functions.clear();
        }
    }

    /// Gives the pool its size and its ways; called by `__init__`.
    #[pyo3(signature = (*, name, max_workers, max_pending, raises_when_full, launch, order, arena_limit,
        max_tasks_per_child, max_memory_per_child, memory_limit, kill_grace, note))]
    #[expect(clippy::too_many_arguments, reason = "one for each option of the executor")]
    fn _open(
        &self,
        name: String,
        max_workers: usize,
        max_pending: Option<usize>,
        raises_when_full: bool,
        launch: &LaunchSpec,
        order: Py<PyAny>,
        arena_limit: usize,
        max_tasks_per_child: Option<u64>,
        max_memory_per_child: Option<u64>,
        memory_limit: Option<u64>,
        kill_grace: f64,
        note: Py<PyAny>,
    ) -> PyResult<()> {
        let settings = Settings {
            name,
            target: max_workers,
            max_pending,
            launch: launch.launch(),
            arguments_limit: arena_limit,
            results_limit: arena_limit,
            max_tasks: max_tasks_per_child,
            max_memory: max_memory_per_child,
            memory_limit,
            kill_grace: Duration::try_from_secs_f64(kill_grace).unwrap_or(Duration::MAX),
        };
        let workers = Arc::new(AtomicUsize::new(max_workers));
        let share = Native::share(&settings, &workers, &note, &order);
        if let Err(error) = &share {
            return Err(PyOSError::new_err(error.clone()));
        }
        let closed = AtomicBool::new(false);
        let share = ForkCell::new(share);
        let _ = self.native.set(Native { share, settings, workers, note, order, raises_when_full, closed });
        Ok(())
    }

    /// Schedules `fn(*args, **kwargs)` in a worker process and returns its future.
    ///
    /// Waits while `max_pending` tasks are queued, or raises `ExecutorFull`, as the executor was made.
    /// Raises `RuntimeError` after shutdown, `BrokenProcessPool` when no worker can be made ready.
    #[pyo3(signature = (r#fn, /, *args, **kwargs))]
    fn submit<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Future>> {
        self.send(r#fn, args, kwargs, None)
    }

    /// Schedules `fn(*args, **kwargs)` with options.
    fn _submit_with<'py>(
        &self,
        options: &Bound<'py, TaskOptions>,
        r#fn: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, Future>> {
        let kwargs = Some(kwargs).filter(|kwargs| !kwargs.is_empty());
        self.send(r#fn, args, kwargs, Some(options))
    }

    /// Starts a map over `items`; as `ThreadPool._map`.
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
        let native = slf.get().native()?;
        let buffersize = buffersize.or(native.settings.max_pending).map(|limit| limit as u64);
        let options =
            MapOptions { submit, timeout, turn, buffersize, ordered, return_exceptions, spread, priority };
        MapIterator::start(&Executor::Processes(slf), r#fn, items, options)
    }

    /// Changes how many workers there are.
    fn _resize(&self, max_workers: usize) -> PyResult<()> {
        let native = self.native()?;
        native.workers.store(max_workers, Ordering::Relaxed);
        let share = native.current()?;
        share.pool.resize(max_workers);
        share.pool.client().have_maps_packed();
        Ok(())
    }

    /// Takes no further tasks; with `cancel_futures`, cancels those that have not begun. Returns at once.
    fn _close(&self, py: Python<'_>, cancel_futures: bool) -> PyResult<()> {
        let native = self.native()?;
        native.closed.store(true, Ordering::Relaxed);
        let share = native.current()?;
        share.pool.drain();
        if cancel_futures {
            cancel_all(py, &share.pool);
        }
        Ok(())
    }

    /// Kills the workers: with SIGTERM first where `politely`. What they run is lost, what waits is cancelled.
    fn _kill(&self, py: Python<'_>, politely: bool) -> PyResult<()> {
        let native = self.native()?;
        native.closed.store(true, Ordering::Relaxed);
        let share = native.current()?;
        share.pool.drain();
        cancel_all(py, &share.pool);
        share.pool.kill_workers(politely);
        Ok(())
    }

    /// Waits until every worker has ended, up to `timeout` seconds. Returns whether they have.
    #[pyo3(signature = (timeout = None))]
    fn _wait_ended(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.native()?.current()?.wait_ended(py, timeout)
    }

    /// What tells of the end of the workers, and does not keep the executor.
    fn _end(&self) -> PyResult<PoolEnd> {
        Ok(PoolEnd::new(Arc::clone(self.native()?.current()?)))
    }

    /// How many workers there are at most.
    #[getter]
    fn _max_workers(&self) -> usize {
        self.native.get().map_or(0, |native| native.workers.load(Ordering::Relaxed))
    }

    /// Whether the pool takes no further tasks.
    #[getter]
    fn _shutdown(&self) -> PyResult<bool> {
        Ok(self.native()?.current()?.pool.is_draining())
    }

    /// Why the pool is broken, or False.
    #[getter]
    fn _broken(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let share = self.native()?.current()?;
        match share.pool.client().broken.get() {
            Some(broken) => {
                let error = broken.error(py, &share.codec);
                Ok(error.value(py).str()?.into_any().unbind())
            }
            None => Ok(false.into_pyobject(py)?.to_owned().into_any().unbind()),
        }
    }

    /// The processes of the workers.
    fn _pids(&self) -> PyResult<Vec<u32>> {
        Ok(self.native()?.current()?.pool.pids())
    }

    /// Bytes of arguments that stand in shared memory, waiting or in workers' hands.
    fn _arena_used(&self) -> PyResult<usize> {
        let pool = &self.native()?.current()?.pool;
        pool.reclaim();
        Ok(pool.store().used())
    }

    /// The figures of `stats()`, by name.
    fn _stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let pool = &self.native()?.current()?.pool;
        let (stats, counters) = (pool.stats(), &pool.client().counters);
        let figures = PyDict::new(py);
        for (name, figure) in [
            ("workers", stats.workers),
            ("busy", stats.busy),
            ("idle", stats.workers - stats.busy - stats.blocked),
            ("blocked", stats.blocked),
            ("queued", stats.queued + stats.handed.saturating_sub(stats.busy + stats.blocked)),
            ("deferred", pool.client().deferred.len()),
        ] {
            figures.set_item(name, figure)?;
        }
        for (name, figure) in counters.figures() {
            figures.set_item(name, figure)?;
        }
        Ok(figures)
    }
}

impl Drop for ProcessPool {
    /// As in the stdlib: an executor that nobody has any more finishes its tasks, and its workers end.
    fn drop(&mut self) {
        if let Some(Ok(share)) = self.native.get().and_then(|native| native.share.peek()) {
            share.pool.drain();
        }
    }
}
