//! What the pool of processes needs to know of Python: futures, how they end, and which tasks are tried again.
//!
//! Nothing here needs the interpreter but what says so: tasks end while somebody else has it. Those who wait for a future's outcome
//! open it themselves; whoever has to be told otherwise is told on an [errand](super::errands).

use crate::attempts::{Attempts, Verdict};
use crate::counters::Counters;
use crate::ending;
use crate::future::{Future, Told};
use crate::graveyard::{self, Kept};
use crate::process::batches::{Batch, BatchReply, Batches};
use crate::process::codec::Codec;
use crate::process::errands::Errands;
use crate::process::letters::{Abandoned, Break, Letter, Lost};
use crate::process::spec::as_io_error;
use crate::sent::Sent;
use crate::shelf::{Shelf, Shelved, settle_in_turn};
use pyo3::exceptions::{PyBaseException, PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use raddle_process::Client;
use raddle_process::pool::{Death, Order, Pool, Reply, Reservation, Sentence};
use raddle_sync::{Moment, Mutex, Wake};
use raddle_task::deferred::{Deferred, Ticket};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// What has ended, and holds references, which are dropped with the interpreter only.
enum Ended {
    Call(#[expect(dead_code, reason = "kept until it is dropped")] Call),
    Batch(#[expect(dead_code, reason = "kept until it is dropped")] Arc<Batches>),
}

/// How many calls that have ended are kept until somebody comes by who has the interpreter.
const MOST_ENDED: usize = 1024;

/// The kind of a note that is the pool's own: something that people should know.
const COMPLAINT: u16 = 0;

/// A call with a future.
pub(crate) struct Call {
    pub(crate) future: Py<Future>,
    /// Of a task that may be tried again. What it needs for that stands in its order: workers see copies of the arguments.
    pub(crate) attempts: Option<Box<Attempts>>,
}

/// What a worker is handed.
pub(crate) enum Task {
    Call(Call),
    /// Items of a map.
    Batch(Batch),
}

impl Task {
    /// Whether there may be another attempt after this one.
    fn may_be_tried_again(&self) -> bool {
        match self {
            Self::Call(call) => call.attempts.as_ref().is_some_and(|attempts| attempts.are_left()),
            Self::Batch(_) => false,
        }
    }
}

/// The parent's side of a pool, as far as it is Python's.
pub(crate) struct PythonClient {
    pub(crate) codec: Kept<Arc<Codec>>,
    pub(crate) counters: Counters,
    /// What the pool does not go on without: decisions on further attempts, items of maps.
    pub(crate) duties: Errands,
    /// Telling people of the ends of their tasks.
    pub(crate) callbacks: Errands,
    /// Tasks that wait for a dependency or for their next attempt.
    pub(crate) deferred: Deferred<(Order<Task>, Reservation<PythonClient>)>,
    /// Nothing is tried again any more.
    pub(crate) cancelling: AtomicBool,
    ended: Mutex<Vec<Ended>>,
    ended_count: AtomicUsize,
    pub(crate) broken: OnceLock<Break>,
    /// The maps that have items nobody has sent yet.
    maps: Mutex<Vec<Weak<Batches>>>,
    /// `note(worker, kind, body)`: what workers say besides.
    note: Kept<Py<PyAny>>,
    /// `order(name, number) -> (bytes, fds)`: what a worker is told that is started now, and what descriptors it gets besides.
    /// None once no further one will be.
    order: Mutex<Option<Kept<Py<PyAny>>>>,
}

impl PythonClient {
    pub(crate) fn new(codec: Arc<Codec>, note: Py<PyAny>, order: Py<PyAny>) -> Self {
        Self {
            codec: Kept::new(codec),
            counters: Counters::default(),
            duties: Errands::default(),
            callbacks: Errands::default(),
            deferred: Deferred::default(),
            cancelling: AtomicBool::new(false),
            ended: Mutex::default(),
            ended_count: AtomicUsize::new(0),
            broken: OnceLock::new(),
            maps: Mutex::default(),
            note: Kept::new(note),
            order: Mutex::new(Some(Kept::new(order))),
        }
    }

    /// Drops what has ended.
    #[inline]
    pub(crate) fn sweep(&self, py: Python<'_>) {
        graveyard::sweep(py);
        if self.ended_count.load(Ordering::Relaxed) > 0 {
            let ended = std::mem::take(&mut *self.ended.lock());
            self.ended_count.store(0, Ordering::Relaxed);
            drop(ended);
        }
    }

    /// Ends a future, telling whoever has to be told.
    fn arrive(&self, call: Call, sent: Arc<dyn Sent>, begun: Moment, ended: Moment) {
        let failed = sent.failed();
        match call.future.get().arrive(sent, begun, ended) {
            Some(told) => self.tell(call, told, failed),
            None => self.let_go(Ended::Call(call)),
        }
    }

    /// As [`let_go`](Self::let_go), for a batch.
    pub(crate) fn let_go_of(&self, batches: Arc<Batches>) {
        self.let_go(Ended::Batch(batches));
    }

    fn tell(&self, call: Call, told: Told, failed: bool) {
        self.callbacks.run(move |py| {
            Future::tell(call.future.bind(py), told, failed);
            drop(call);
        });
    }

    /// Keeps something until somebody comes by who has the interpreter.
    fn let_go(&self, what: Ended) {
        let mut ended = self.ended.lock();
        ended.push(what);
        let stale = if ended.len() > MOST_ENDED { std::mem::take(&mut *ended) } else { Vec::new() };
        self.ended_count.store(ended.len(), Ordering::Relaxed);
        drop(ended);
        if !stale.is_empty() {
            self.callbacks.run(move |_| drop(stale));
        }
    }

    /// Sleeps until all errands are done. Who is on one of them himself waits for none.
    pub(crate) fn wait_quiet(&self, deadline: Option<Moment>) -> Wake {
        if self.duties.is_on_one() || self.callbacks.is_on_one() {
            return Wake::Woken;
        }
        // A duty may be to tell somebody.
        match self.duties.wait_quiet(deadline) {
            Wake::Woken => self.callbacks.wait_quiet(deadline),
            other => other,
        }
    }

    /// The pool has ended: what its workers were given at their start is nobody's any more. Were it kept until the pool is dropped, which
    /// threads without the interpreter may do, it would stay until somebody comes by who has it.
    pub(crate) fn retire(&self, _py: Python<'_>) {
        let order = self.order.lock().take();
        drop(order);
    }

    fn make_order(&self, py: Python<'_>, name: &str, number: u64) -> PyResult<(Vec<u8>, Vec<OwnedFd>)> {
        let order = self.order.lock().as_ref().map(|order| order.clone_ref(py));
        let order = order.ok_or_else(|| PyRuntimeError::new_err("the executor has ended"))?;
        let order = crate::ffi::invoke(order.bind(py), (name, number))?;
        let (order, fds): (Vec<u8>, Vec<i32>) = order.extract()?;
        let fds = fds.into_iter().map(crate::ffi::duplicate_fd).collect::<io::Result<_>>()?;
        Ok((order, fds))
    }

    /// Remembers a map.
    pub(crate) fn register(&self, batches: &Arc<Batches>) {
        let mut maps = self.maps.lock();
        if maps.len() == maps.capacity() {
            maps.retain(|map| map.strong_count() > 0);
        }
        maps.push(Arc::downgrade(batches));
    }

    fn live_maps(&self) -> Vec<Arc<Batches>> {
        self.maps.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// What of maps has not been sent never will be.
    fn withdraw_maps(&self) {
        self.live_maps().iter().for_each(|map| map.withdraw());
    }

    /// There are more workers, which could do with items.
    pub(crate) fn have_maps_packed(&self) {
        self.live_maps().iter().for_each(Batches::have_packed);
    }

    /// Ends a task that has failed in a way that nothing was sent of.
    fn fail(&self, task: Task, sent: Arc<dyn Sent>, begun: Moment, ended: Moment) {
        match task {
            Task::Call(call) => {
                self.counters.count(1, true);
                self.arrive(call, sent, begun, ended);
            }
            Task::Batch(batch) => {
                self.counters.count(batch.count() as u64, true);
                batch.lost(self, sent);
            }
        }
    }
}

impl Client for PythonClient {
    type Task = Task;

    fn order(&self, name: &str, number: u64) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        let made = ending::attach(|py| {
            self.make_order(py, name, number).map_err(|error| {
                if error.is_instance_of::<PyKeyboardInterrupt>(py) {
                    // It was meant for the caller's caller, and is raised once more when this is done.
                    crate::ffi::interrupt();
                    return io::ErrorKind::Interrupted.into();
                }
                as_io_error(error)
            })
        });
        made.unwrap_or_else(|| Err(io::Error::other("the interpreter is ending")))
    }

    fn begin(&self, task: &Task) -> bool {
        match task {
            Task::Call(call) => call.future.get().hand_out(),
            Task::Batch(batch) => batch.is_wanted(),
        }
    }

    fn put_back(&self, task: &Task) -> bool {
        match task {
            Task::Call(call) => call.future.get().requeue(),
            Task::Batch(batch) => batch.is_wanted(),
        }
    }

    fn finished(&self, pool: &Arc<Pool<Self>>, order: Order<Task>, reply: Reply) {
        let (failed, begun, ended) = (reply.failed, reply.begun, reply.ended);
        let batch_reply = BatchReply::from(&reply);
        let letter = Arc::new(Letter::new(reply, &self.codec));
        if failed && order.task.may_be_tried_again() {
            return Attempt { order, sent: letter, begun, ended }.reconsider(pool);
        }
        // Its arguments go before anybody is told: who waits for it may need their place.
        let Order { task, .. } = order;
        match task {
            Task::Call(call) => {
                self.counters.count(1, failed);
                self.arrive(call, letter, begun, ended);
            }
            Task::Batch(batch) => {
                self.counters.count(batch.count() as u64, failed);
                batch.finished(self, letter, &batch_reply);
            }
        }
    }

    fn lost(&self, pool: &Arc<Pool<Self>>, order: Order<Task>, death: Arc<Death>) {
        let ended = Moment::now();
        let begun = death.begun.unwrap_or(ended);
        if death.sentence == Some(Sentence::Timeout) {
            self.counters.timed_out.fetch_add(1, Ordering::Relaxed);
        }
        let lost = Arc::new(Lost { death, timeout: order.timeout });
        if order.task.may_be_tried_again() {
            return Attempt { order, sent: lost, begun, ended }.reconsider(pool);
        }
        let Order { task, .. } = order;
        self.fail(task, lost, begun, ended);
    }

    fn dropped(&self, task: Task) {
        match task {
            Task::Call(call) => {
                self.counters.cancelled.fetch_add(1, Ordering::Relaxed);
                self.let_go(Ended::Call(call));
            }
            Task::Batch(batch) => batch.cancelled(self),
        }
    }

    fn note(&self, worker: &str, kind: u16, body: Vec<u8>) {
        ending::attach(|py| {
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
        let _ = self.broken.set(Break::Initializer(error.into()));
    }

    fn hopeless(&self, death: Option<Arc<Death>>, why: &str) {
        let _ = self.broken.set(death.map_or_else(|| Break::NoWorker(why.into()), Break::Death));
    }

    fn abandoned(&self, task: Task) {
        let why = self.broken.get_or_init(|| Break::NoWorker("no worker process could be started".into()));
        let abandoned = Abandoned { why: why.clone(), codec: Arc::clone(&self.codec) };
        let now = Moment::now();
        self.fail(task, Arc::new(abandoned), now, now);
    }

    fn deserted(&self) {
        for (order, _promise) in self.deferred.drain() {
            self.abandoned(order.task);
        }
    }

    fn is_untidy(&self) -> bool {
        self.ended_count.load(Ordering::Relaxed) > 0
    }

    fn tidy(&self) {
        if self.is_untidy() {
            ending::attach(|py| self.sweep(py));
        }
    }

    fn complain(&self, what: &str) {
        self.note("", COMPLAINT, what.as_bytes().to_vec());
    }
}

/// An attempt that has failed, after which there may be another one.
struct Attempt {
    order: Order<Task>,
    sent: Arc<dyn Sent>,
    begun: Moment,
    ended: Moment,
}

impl Attempt {
    /// Has it decided, which needs the interpreter, whether the task is tried again.
    fn reconsider(self, pool: &Arc<Pool<PythonClient>>) {
        let promise = pool.reserve_again();
        let kept = Arc::clone(pool);
        pool.client().duties.run(move |py| self.conclude(py, &kept, promise));
    }

    fn conclude(self, py: Python<'_>, pool: &Arc<Pool<PythonClient>>, promise: Reservation<PythonClient>) {
        let Self { order, sent, begun, ended } = self;
        let Task::Call(Call { future, attempts: Some(attempts) }) = &order.task else { return };
        let future = future.bind(py).clone();
        let client = pool.client();
        let is_ending = || client.cancelling.load(Ordering::SeqCst) || client.broken.get().is_some();
        let outcome = Future::look_into(&future, &*sent, begun, ended);
        let verdict = attempts.judge(py, outcome, is_ending() || future.get().is_unwanted());
        let outcome = match verdict {
            // Somebody else has ended it.
            Verdict::Again(..) if !future.get().requeue() => return,
            Verdict::Again(_, failure) if future.get().is_unwanted() => Err(failure),
            Verdict::End(outcome) => outcome,
            Verdict::Again(pause, _) => {
                client.counters.retried.fetch_add(1, Ordering::Relaxed);
                if pause.is_zero() {
                    promise.submit(order);
                } else {
                    let ticket = client.deferred.put((order, promise));
                    Shelved::new(&future, pool, ticket).release_after(pause);
                }
                if is_ending() {
                    // Whoever has cancelled everything else may have been there before.
                    Future::try_cancel(&future);
                }
                return;
            }
        };
        let failed = outcome.is_err();
        client.counters.count(1, failed);
        drop(order);
        if let Ok(Some(told)) = Future::conclude(&future, outcome) {
            let future = future.unbind();
            client.callbacks.run(move |py| {
                Future::tell(future.bind(py), told, failed);
                drop(promise);
            });
        }
    }
}

/// Tasks of the pool that wait for a dependency or for their next attempt.
impl Shelf for Pool<PythonClient> {
    fn is_ours(&self) -> bool {
        Self::is_ours(self)
    }

    fn release(&self, ticket: Ticket) {
        if let Some((order, promise)) = self.client().deferred.take(ticket) {
            promise.submit(order);
        }
    }

    fn take_down(&self, _py: Python<'_>, ticket: Ticket) {
        if self.client().deferred.take(ticket).is_some() {
            self.client().counters.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn fail(&self, py: Python<'_>, ticket: Ticket, failure: Py<PyBaseException>) {
        if let Some((order, promise)) = self.client().deferred.take(ticket)
            && let Order { task: Task::Call(call), .. } = order
        {
            self.client().counters.count(1, true);
            let future = call.future.clone_ref(py);
            settle_in_turn(py, future, failure, Box::new((call, promise)));
        }
    }
}

/// Cancels whatever has not begun. Nothing is tried again any more.
pub(crate) fn cancel_all(py: Python<'_>, pool: &Arc<Pool<PythonClient>>) {
    let client = pool.client();
    client.cancelling.store(true, Ordering::SeqCst);
    let deferred = client.deferred.drain().into_iter().map(|(order, promise)| (order.task, Some(promise)));
    for (task, _promise) in pool.clear().into_iter().map(|task| (task, None)).chain(deferred) {
        match task {
            Task::Call(call) => {
                if Future::try_cancel(call.future.bind(py)) {
                    client.counters.cancelled.fetch_add(1, Ordering::Relaxed);
                }
            }
            Task::Batch(batch) => batch.cancelled(client),
        }
    }
    client.withdraw_maps();
}
