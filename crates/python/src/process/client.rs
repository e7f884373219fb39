//! What the pool of processes needs to know of Python: futures, and how they end.

use crate::ffi::CallResult;
use crate::future::{Future, Told};
use crate::process::batches::{Batch, BatchReply, Batches};
use crate::process::codec::Codec;
use crate::process::deaths;
use crate::sent::Sent;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use raddle_process::Client;
use raddle_process::arena::View;
use raddle_process::pool::{Death, Reply};
use raddle_sync::{Moment, Mutex};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// How many futures that have ended are kept until somebody comes by who has the interpreter.
const MOST_ENDED: usize = 1024;

/// The kind of a note that is the pool's own: something that people should know.
const COMPLAINT: u16 = 0;

/// How many tasks ended in which way. Relaxed: for people to read.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) completed: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    pub(crate) retried: AtomicU64,
}

/// Why a pool takes no further tasks.
pub(crate) enum Break {
    /// The pickled error of an initializer.
    Initializer(Vec<u8>),
    Death(Arc<Death>),
    /// No worker could be started.
    NoWorker(String),
}

/// What a worker is handed.
pub(crate) enum Task {
    /// A call with a future.
    Call(Py<Future>),
    /// Items of a map.
    Batch(Batch),
}

/// The parent's side of a pool, as far as it is Python's.
pub(crate) struct PythonClient {
    pub(crate) codec: Arc<Codec>,
    pub(crate) counters: Counters,
    /// Futures that have ended: a reference can be dropped with the interpreter only.
    ended: Mutex<Vec<Py<Future>>>,
    ended_count: AtomicUsize,
    pub(crate) broken: OnceLock<Break>,
    /// The maps that have items nobody has sent yet.
    maps: Mutex<Vec<Weak<Batches>>>,
    /// `note(worker, kind, body)`: what workers say besides.
    note: Py<PyAny>,
    /// `order(name, number) -> (bytes, fds)`: what a worker is told that is started now, and what descriptors it gets besides.
    order: Py<PyAny>,
}

impl PythonClient {
    pub(crate) fn new(codec: Arc<Codec>, note: Py<PyAny>, order: Py<PyAny>) -> Self {
        Self {
            codec,
            counters: Counters::default(),
            ended: Mutex::default(),
            ended_count: AtomicUsize::new(0),
            broken: OnceLock::new(),
            maps: Mutex::default(),
            note,
            order,
        }
    }

    /// Drops what has ended.
    #[inline]
    pub(crate) fn sweep(&self, _py: Python<'_>) {
        if self.ended_count.load(Ordering::Relaxed) > 0 {
            let ended = std::mem::take(&mut *self.ended.lock());
            self.ended_count.store(0, Ordering::Relaxed);
            drop(ended);
        }
    }

    /// Ends a future, telling whoever has to be told.
    fn arrive(&self, future: Py<Future>, sent: Arc<dyn Sent>, begun: Moment, ended: Moment) {
        let failed = sent.failed();
        let told = future.get().arrive(sent, begun, ended);
        self.let_go(future, told, failed);
    }

    fn let_go(&self, future: Py<Future>, told: Option<Told>, failed: bool) {
        let mut ended = self.ended.lock();
        ended.push(future);
        let count = ended.len();
        let future = if told.is_some() || count > MOST_ENDED { ended.pop() } else { None };
        drop(ended);
        self.ended_count.store(count, Ordering::Relaxed);
        if let Some(future) = future {
            // Gone is the interpreter, and with it everybody who could be told.
            Python::try_attach(|py| {
                if let Some(told) = told {
                    Future::tell(future.bind(py), told, failed);
                }
                drop(future);
                self.sweep(py);
            });
        }
    }

    /// Remembers a map.
    pub(crate) fn register(&self, batches: &Arc<Batches>) {
        let mut maps = self.maps.lock();
        if maps.len() == maps.capacity() {
            maps.retain(|map| map.strong_count() > 0);
        }
        maps.push(Arc::downgrade(batches));
    }

    /// What of maps has not been sent never will be.
    pub(crate) fn withdraw_maps(&self) {
        let maps: Vec<_> = self.maps.lock().iter().filter_map(Weak::upgrade).collect();
        for map in maps {
            map.withdraw();
        }
    }

    /// Ends a task that has failed in a way that nothing was sent of.
    fn fail(&self, task: Task, sent: Arc<dyn Sent>, begun: Moment) {
        match task {
            Task::Call(future) => {
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
                self.arrive(future, sent, begun, Moment::now());
            }
            Task::Batch(batch) => {
                self.counters.failed.fetch_add(batch.count() as u64, Ordering::Relaxed);
                batch.lost(sent);
            }
        }
    }
}

impl Client for PythonClient {
    type Task = Task;

    fn order(&self, name: &str, number: u64) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        let made = Python::try_attach(|py| {
            let order = crate::ffi::invoke(self.order.bind(py), (name, number))?;
            let (order, fds): (Vec<u8>, Vec<i32>) = order.extract()?;
            let fds = fds.into_iter().map(crate::ffi::duplicate_fd).collect::<io::Result<_>>()?;
            Ok((order, fds))
        });
        made.unwrap_or_else(|| Err(PyRuntimeError::new_err("the interpreter is ending")))
            .map_err(io::Error::other)
    }

    fn begin(&self, task: &Task) -> bool {
        match task {
            Task::Call(future) => future.get().hand_out(),
            Task::Batch(batch) => batch.is_wanted(),
        }
    }

    fn put_back(&self, task: &Task) -> bool {
        match task {
            Task::Call(future) => future.get().requeue(),
            Task::Batch(batch) => batch.is_wanted(),
        }
    }

    fn finished(&self, task: Task, reply: Reply) {
        let counter = if reply.failed { &self.counters.failed } else { &self.counters.completed };
        let batch_reply = BatchReply::from(&reply);
        let Reply { failed, body, start, parcel, worker, begun, ended, .. } = reply;
        let codec = Arc::clone(&self.codec);
        let letter = Letter { failed, body, start, parcel: parcel.map(Arc::new), worker, codec };
        match task {
            Task::Call(future) => {
                counter.fetch_add(1, Ordering::Relaxed);
                self.arrive(future, Arc::new(letter), begun, ended);
            }
            Task::Batch(batch) => {
                counter.fetch_add(batch.count() as u64, Ordering::Relaxed);
                batch.finished(Arc::new(letter), &batch_reply);
            }
        }
    }

    fn lost(&self, task: Task, death: Arc<Death>) {
        let begun = death.begun.unwrap_or_else(Moment::now);
        self.fail(task, Arc::new(Lost { death }), begun);
    }

    fn dropped(&self, task: Task) {
        match task {
            Task::Call(future) => {
                self.counters.cancelled.fetch_add(1, Ordering::Relaxed);
                self.let_go(future, None, false);
            }
            Task::Batch(batch) => batch.cancelled(),
        }
    }

    fn note(&self, worker: &str, kind: u16, body: Vec<u8>) {
        Python::try_attach(|py| {
            let noted = crate::ffi::invoke(self.note.bind(py), (worker, kind, PyBytes::new(py, &body)));
            if let Err(error) = noted {
                if error.is_instance_of::<PyKeyboardInterrupt>(py) {
                    // It was meant for whoever waits here, and is raised once more when this is done.
                    crate::ffi::interrupt();
                } else {
                    error.write_unraisable(py, None);
                }
            }
        });
    }

    fn broken(&self, error: Vec<u8>) {
        let _ = self.broken.set(Break::Initializer(error));
    }

    fn hopeless(&self, death: Option<Arc<Death>>, why: &str) {
        let _ = self.broken.set(death.map_or_else(|| Break::NoWorker(why.to_owned()), Break::Death));
    }

    fn abandoned(&self, task: Task) {
        let why =
            self.broken.get_or_init(|| Break::NoWorker("no worker process could be started".to_owned()));
        let cause = match why {
            Break::Initializer(error) => Cause::Initializer(error.clone(), Arc::clone(&self.codec)),
            Break::Death(death) => Cause::Death(Arc::clone(death)),
            Break::NoWorker(complaint) => Cause::NoWorker(complaint.clone()),
        };
        self.fail(task, Arc::new(Abandoned(cause)), Moment::now());
    }

    fn complain(&self, what: &str) {
        self.note("", COMPLAINT, what.as_bytes().to_vec());
    }
}

/// An outcome as a worker has sent it.
struct Letter {
    failed: bool,
    body: Vec<u8>,
    start: usize,
    parcel: Option<Arc<View>>,
    worker: Arc<str>,
    codec: Arc<Codec>,
}

impl Sent for Letter {
    fn failed(&self) -> bool {
        self.failed
    }

    fn worker(&self) -> &str {
        &self.worker
    }

    fn open(&self, py: Python<'_>) -> CallResult {
        let (data, parcel) = (&self.body[self.start..], self.parcel.as_ref());
        if self.failed {
            return Err(self.codec.load_error(py, data, parcel));
        }
        let opened = self.codec.load(py, data, parcel);
        opened.map(Bound::unbind).map_err(|error| error.into_value(py))
    }
}

/// The outcome of a task whose worker died.
struct Lost {
    death: Arc<Death>,
}

impl Sent for Lost {
    fn failed(&self) -> bool {
        true
    }

    fn worker(&self) -> &str {
        &self.death.worker
    }

    fn open(&self, py: Python<'_>) -> CallResult {
        Err(deaths::error_of(py, &self.death).into_value(py))
    }
}

enum Cause {
    Initializer(Vec<u8>, Arc<Codec>),
    Death(Arc<Death>),
    NoWorker(String),
}

/// The outcome of a task that a broken pool will not run.
struct Abandoned(Cause);

impl Sent for Abandoned {
    fn failed(&self) -> bool {
        true
    }

    fn worker(&self) -> &'static str {
        ""
    }

    fn open(&self, py: Python<'_>) -> CallResult {
        Err(self.0.error(py).into_value(py))
    }
}

impl Cause {
    fn error(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Initializer(error, codec) => deaths::initializer_failed(py, codec, error),
            Self::Death(death) => deaths::hopeless(py, death),
            Self::NoWorker(complaint) => deaths::broken(py, complaint),
        }
    }
}

impl Break {
    /// What a submission raises.
    pub(crate) fn error(&self, py: Python<'_>, codec: &Arc<Codec>) -> PyErr {
        match self {
            Self::Initializer(error) => deaths::initializer_failed(py, codec, error),
            Self::Death(death) => deaths::hopeless(py, death),
            Self::NoWorker(complaint) => deaths::broken(py, complaint),
        }
    }
}
