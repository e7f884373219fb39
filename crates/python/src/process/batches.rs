//! A map on worker processes: items travel in batches.
//!
//! ```text
//!  consumer ── feed ──▶ pending ── pack ──▶ a batch in the pool ── arrive ──▶ unpack ──▶ slots ── take ──▶ consumer
//! ```
//!
//! **How many items.** A batch is to take about [`SPAN`], as measured from those that have come back; the first ones hold one item.
//! So tiny items cost little dispatch each, and where items take longer than that, each is a batch of its own that holds nobody up.
//! Towards the end of the input batches shrink, so that the workers end together. The results of a batch must fit into a worker's
//! arena together: a batch holds so few items that, as measured, they fill a small part of it. Where items can't be sent together, by
//! their size or because one of them can't be pickled, half as many are tried, and more again after that.
//!
//! **When, and who.** Items are packed as late as workers allow, a few batches ahead of them, by one thread at a time: the one that feeds,
//! which may be interrupted then, or else, when a batch has come back, one that does the pool's [duties](super::errands). Packing
//! runs code of the user's and may wait for room in the arena, which is there when replies have been collected; so whoever collects
//! them never packs, but only has it done. Results are unpacked by the consumer alone.
//!
//! **Interrupts.** What is raised while the user's thread packs or unpacks, and is no `Exception`, is raised there and loses nothing: the
//! items are pending again, the results unread.
//!
//! When a worker dies, the batch that it had begun is lost: its items may have run, all of them.

use crate::ffi::CallResult;
use crate::process::client::{PythonClient, Task};
use crate::process::codec::Codec;
use crate::process::pool::{Share, Travelling};
use crate::sent::{Sent, of_the_pickle};
use crate::turns::ItemOutcome;
use pyo3::exceptions::{PyBaseException, PyException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use raddle_process::arena::View;
use raddle_process::message;
use raddle_process::pool::{Definition, Order, Reply, Reservation};
use raddle_sync::{Moment, Mutex, Wake};
use raddle_task::map::Map;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How long a batch is to take.
const SPAN: Duration = Duration::from_millis(2);

/// Of how many items a batch consists at most, however short they are.
const MOST: usize = 4096;

/// How many batches are out for each worker, at most.
const AHEAD: usize = 3;

/// Which part of a worker's arena the results of one batch fill at most, as far as that can be foreseen.
const PART_OF_ARENA: usize = 16;

/// A batch that has come back.
struct Arrived {
    first: u64,
    count: usize,
    sent: Arc<dyn Sent>,
    /// Some of the items have raised.
    mixed: bool,
}

/// What the pool and the consumer of one map share.
pub(crate) struct Batches {
    pub(crate) map: Map<Py<PyAny>, ItemOutcome>,
    pub(crate) function: Py<PyAny>,
    share: Arc<Share>,
    definition: Arc<Definition>,
    context: Travelling,
    /// The items are tuples of arguments, not single arguments.
    spread: bool,
    /// Items of a batch, if that was said.
    size: Option<usize>,
    buffersize: usize,
    priority: i32,
    /// Batches that are out.
    out: AtomicUsize,
    /// A thread is at packing.
    packing: AtomicBool,
    /// It is among the pool's duties, which have not come to it yet.
    due: AtomicBool,
    /// How many items can be sent together, as far as was found out.
    sendable: AtomicUsize,
    /// Nanoseconds that an item takes; 0: not known yet.
    mean: AtomicU64,
    /// Bytes that an item's result has.
    mean_bytes: AtomicU64,
    /// No further items will be fed.
    complete: AtomicBool,
    arrived: Mutex<VecDeque<Arrived>>,
    /// Keeps the pool from ending while items are pending.
    reservation: Mutex<Option<Reservation<PythonClient>>>,
}

/// Items in a worker's hands.
pub(crate) struct Batch {
    batches: Arc<Batches>,
    first: u64,
    count: usize,
}

/// How a map is to be made.
pub(crate) struct BatchOptions {
    pub(crate) spread: bool,
    pub(crate) size: Option<usize>,
    pub(crate) buffersize: Option<u64>,
    pub(crate) priority: i32,
}

impl Batches {
    pub(crate) fn new(
        map: Map<Py<PyAny>, ItemOutcome>,
        function: &Bound<'_, PyAny>,
        share: &Arc<Share>,
        options: &BatchOptions,
    ) -> PyResult<Arc<Self>> {
        let py = function.py();
        let definition = share.define(function, true)?.expect("a definition was insisted on");
        let BatchOptions { spread, size, buffersize, priority } = *options;
        let batches = Arc::new(Self {
            map,
            function: function.clone().unbind(),
            share: Arc::clone(share),
            definition,
            context: share.context(py)?,
            spread,
            size,
            buffersize: buffersize.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            priority,
            out: AtomicUsize::new(0),
            packing: AtomicBool::new(false),
            due: AtomicBool::new(false),
            sendable: AtomicUsize::new(usize::MAX),
            mean: AtomicU64::new(0),
            mean_bytes: AtomicU64::new(0),
            complete: AtomicBool::new(false),
            arrived: Mutex::default(),
            reservation: Mutex::default(),
        });
        share.pool.client().register(&batches);
        Ok(batches)
    }

    /// Adds an item, and sends what makes a batch.
    ///
    /// Raises what is no `Exception`, such as an interrupt; the item has been added even so.
    pub(crate) fn feed(self: &Arc<Self>, py: Python<'_>, item: Py<PyAny>) -> PyResult<()> {
        self.share.check_open(py)?;
        self.map.feed(item);
        if self.share.pool.client().cancelling.load(Ordering::SeqCst) {
            // Whoever has withdrawn everything else may have been there before.
            self.withdraw();
            return Ok(());
        }
        let out = self.out.load(Ordering::Relaxed);
        if out < self.workers() || (out < self.most_out() && self.map.pending() >= self.fitting()) {
            self.pack(py)
        } else {
            self.hold();
            Ok(())
        }
    }

    /// The input has ended. Raises what is no `Exception`.
    pub(crate) fn finish(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        self.complete.store(true, Ordering::Relaxed);
        self.pack(py)
    }

    fn workers(&self) -> usize {
        self.share.workers.load(Ordering::Relaxed).max(1)
    }

    fn most_out(&self) -> usize {
        AHEAD * self.workers()
    }

    /// Of how many items a batch takes as long as it should.
    fn fitting(&self) -> usize {
        let sendable = self.sendable.load(Ordering::Relaxed);
        if let Some(size) = self.size {
            return size.min(sendable);
        }
        let per_item = |most: u64, mean: &AtomicU64| {
            let count = most.checked_div(mean.load(Ordering::Relaxed));
            count.map(|count| usize::try_from(count).unwrap_or(MOST))
        };
        let span = u64::try_from(SPAN.as_nanos()).expect("a short span");
        // Nothing is known of the first ones.
        let fitting = per_item(span, &self.mean).unwrap_or(1);
        let bytes = (self.share.results_limit / PART_OF_ARENA) as u64;
        let small = per_item(bytes, &self.mean_bytes).unwrap_or(MOST);
        let shared = (self.buffersize / (2 * self.workers())).max(1);
        fitting.min(small).clamp(1, MOST).min(shared).min(sendable)
    }

    fn next_size(&self) -> usize {
        let fitting = self.fitting();
        if self.size.is_some() || !self.complete.load(Ordering::Relaxed) {
            return fitting;
        }
        fitting.min(self.map.pending().div_ceil(2 * self.workers())).max(1)
    }

    /// Keeps the pool from ending for as long as there is something that has not been handed to it.
    fn hold(&self) {
        let mut reservation = self.reservation.lock();
        // Of two who do this at a time, the later one has seen what the other one had.
        let needed = self.packing.load(Ordering::SeqCst) || self.map.pending() > 0;
        if needed == reservation.is_some() {
            return;
        }
        let stale = if needed {
            *reservation = Some(self.share.pool.reserve_again());
            None
        } else {
            reservation.take()
        };
        drop(reservation);
        drop(stale);
    }

    /// Whether there are items, and workers that could do with them.
    fn wants_packing(&self) -> bool {
        self.out.load(Ordering::SeqCst) < self.most_out() && self.map.pending() > 0 && !self.map.is_closed()
    }

    /// Has it done by a thread that may wait. Needs no interpreter.
    pub(crate) fn have_packed(self: &Arc<Self>) {
        // Whoever packs looks again when he is done.
        let wanted = self.wants_packing() && !self.packing.load(Ordering::SeqCst);
        if wanted && !self.due.swap(true, Ordering::SeqCst) {
            let batches = Arc::clone(self);
            self.share.pool.client().duties.run(move |py| {
                batches.due.store(false, Ordering::SeqCst);
                batches.pack_all(py, false).expect("nothing is raised here");
            });
        }
    }

    /// Sends batches for as long as there are items, and workers that could do with them.
    ///
    /// Raises what is no `Exception`; others go on then.
    fn pack(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        self.pack_all(py, true).inspect_err(|_| self.have_packed())
    }

    /// The same; whether what is no `Exception` is raised, or is the outcome of an item too.
    fn pack_all(self: &Arc<Self>, py: Python<'_>, raises: bool) -> PyResult<()> {
        while self.wants_packing() {
            let Some(packer) = Packer::new(self) else { break };
            self.hold();
            packer.pack(py, raises)?;
        }
        self.hold();
        Ok(())
    }

    fn order(self: &Arc<Self>, py: Python<'_>, first: u64, items: &[Py<PyAny>]) -> PyResult<Order<Task>> {
        let list = PyList::new(py, items)?;
        let packed = self.share.pack(py, &self.context, || self.share.codec.dump_items(&list))?;
        let batch = Batch { batches: Arc::clone(self), first, count: items.len() };
        Ok(Order {
            number: self.share.pool.next_number(),
            task: Task::Batch(batch),
            kind: if self.spread { message::SPREAD_BATCH } else { message::BATCH },
            function: Some(Arc::clone(&self.definition)),
            body: packed.body,
            parcel: packed.parcel,
            kept: packed.kept,
            timeout: None,
            priority: self.priority,
        })
    }

    fn publish_failure(&self, py: Python<'_>, first: u64, count: usize, error: PyErr) {
        let exception = error.into_value(py);
        self.map.publish_many(first, (0..count).map(|_| Some(Err(exception.clone_ref(py)))));
    }

    fn publish_cancelled(&self, first: u64, count: usize) {
        self.map.publish_many(first, (0..count).map(|_| None));
    }

    /// A batch has come back. Needs no interpreter.
    fn arrive(self: &Arc<Self>, arrived: Arrived) {
        self.arrived.lock().push_back(arrived);
        self.out.fetch_sub(1, Ordering::SeqCst);
        self.map.ring();
        // The consumer may not have asked yet, or be at something else.
        self.have_packed();
    }

    /// Publishes the items of the batches that have come back; returns whether there were any.
    ///
    /// Raises what is no `Exception`.
    pub(crate) fn unpack(self: &Arc<Self>, py: Python<'_>) -> PyResult<bool> {
        self.share.pool.client().sweep(py);
        let mut any = false;
        loop {
            let next = self.arrived.lock().pop_front();
            let Some(batch) = next else { return Ok(any) };
            any = true;
            let Arrived { first, count, ref sent, mixed } = batch;
            match open(py, &self.share.codec, sent, count, mixed) {
                Ok(Ok(outcomes)) => self.map.publish_many(first, outcomes.into_iter().map(Some)),
                Ok(Err(exception)) => {
                    self.publish_failure(
                        py,
                        first,
                        count,
                        PyErr::from_value(exception.into_bound(py).into_any()),
                    );
                }
                Err(interrupt) => {
                    self.arrived.lock().push_front(batch);
                    // Whoever takes results in another thread finds it there.
                    self.map.ring();
                    return Err(interrupt);
                }
            }
        }
    }

    /// Sleeps until a result may have come since `seen`, fetching what workers say meanwhile.
    pub(crate) fn sleep(&self, seen: u32, deadline: Option<Moment>) -> Wake {
        let done = || self.map.has_news(seen);
        let driven = self.share.pool.drive(&done, deadline);
        driven.unwrap_or_else(|| self.map.sleep(seen, deadline))
    }

    /// Items that have not been sent never will be.
    pub(crate) fn withdraw(&self) {
        drop(self.map.withdraw(|| None));
        self.hold();
    }

    /// The iteration is over.
    pub(crate) fn close(&self) {
        drop(self.map.close());
        if self.out.load(Ordering::Relaxed) > 0 {
            self.share.pool.recall();
        }
        drop(std::mem::take(&mut *self.arrived.lock()));
        self.hold();
    }
}

/// Whose turn it is to pack a map.
struct Packer<'a>(&'a Arc<Batches>);

impl<'a> Packer<'a> {
    /// None while another thread is at it.
    fn new(batches: &'a Arc<Batches>) -> Option<Self> {
        (!batches.packing.swap(true, Ordering::SeqCst)).then_some(Self(batches))
    }

    fn pack(&self, py: Python<'_>, raises: bool) -> PyResult<()> {
        let batches = self.0;
        while batches.wants_packing() {
            let Some((first, items)) = batches.map.claim_many(batches.next_size()) else { break };
            self.send(py, first, items, raises)?;
        }
        Ok(())
    }

    /// Sends one batch. What can't be sent is the outcome of its item.
    fn send(&self, py: Python<'_>, first: u64, items: Vec<Py<PyAny>>, raises: bool) -> PyResult<()> {
        let (batches, count) = (self.0, items.len());
        let ordered = batches.order(py, first, &items);
        let interrupted =
            ordered.as_ref().is_err_and(|error| raises && !error.is_instance_of::<PyException>(py));
        if batches.map.is_closed() || batches.share.pool.client().cancelling.load(Ordering::SeqCst) {
            // Cancelled, while this thread packed.
            batches.publish_cancelled(first, count);
            return if interrupted { ordered.map(drop) } else { Ok(()) };
        }
        match ordered {
            Ok(order) => {
                // Counted before: it may have come back when this returns.
                batches.out.fetch_add(1, Ordering::SeqCst);
                if batches.share.pool.resubmit(order).is_err() {
                    batches.out.fetch_sub(1, Ordering::SeqCst);
                    batches.publish_failure(py, first, count, batches.share.refusal(py));
                }
                let sendable = &batches.sendable;
                sendable.store(sendable.load(Ordering::Relaxed).saturating_mul(2), Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                if !interrupted && count == 1 {
                    batches.publish_failure(py, first, 1, error);
                    return Ok(());
                }
                if !interrupted {
                    // Together they are too long, or one of them is to blame. The others are sent without it.
                    batches.sendable.store(count / 2, Ordering::Relaxed);
                }
                if batches.map.unclaim(first, items).is_err() {
                    batches.publish_cancelled(first, count);
                }
                if interrupted { Err(error) } else { Ok(()) }
            }
        }
    }
}

impl Drop for Packer<'_> {
    fn drop(&mut self) {
        self.0.packing.store(false, Ordering::SeqCst);
    }
}

/// What became of each item of a batch, or why they all failed. Raises what has kept this one from finding out.
fn open(
    py: Python<'_>,
    codec: &Codec,
    sent: &Arc<dyn Sent>,
    count: usize,
    mixed: bool,
) -> PyResult<Result<Vec<CallResult>, Py<PyBaseException>>> {
    let opened = match sent.open(py, None)? {
        Ok(opened) => opened.into_bound(py),
        Err(exception) => return Ok(Err(exception)),
    };
    let read = || -> PyResult<Vec<CallResult>> {
        let (results, failures) = if mixed {
            let both = opened.cast::<PyTuple>()?;
            (both.get_item(0)?, Some(both.get_item(1)?))
        } else {
            (opened.clone(), None)
        };
        let results = results.cast::<PyList>()?;
        let mut outcomes: Vec<CallResult> = results.iter().map(|result| Ok(result.unbind())).collect();
        let failures = failures.map(Bound::cast_into::<PyList>).transpose()?;
        for failure in failures.iter().flatten() {
            let (index, pickle): (usize, Bound<'_, PyBytes>) = failure.extract()?;
            let exception = codec.load_error(py, pickle.as_bytes(), None)?;
            if let Some(outcome) = outcomes.get_mut(index) {
                *outcome = Err(exception);
            }
        }
        Ok(outcomes)
    };
    Ok(match read() {
        Ok(outcomes) if outcomes.len() == count => Ok(outcomes),
        Ok(_) => Err(PyRuntimeError::new_err("a worker has sent results of other items").into_value(py)),
        Err(error) => Err(of_the_pickle(py, error)?.into_value(py)),
    })
}

impl Batch {
    pub(crate) fn is_wanted(&self) -> bool {
        !self.batches.map.is_closed()
    }

    pub(crate) fn finished(self, client: &PythonClient, sent: Arc<dyn Sent>, reply: &BatchReply) {
        let nanos = u64::try_from(reply.ended.since(reply.begun).as_nanos()).unwrap_or(u64::MAX);
        let count = self.count.max(1) as u64;
        let note = |mean: &AtomicU64, each: u64| {
            let (before, each) = (mean.load(Ordering::Relaxed), each.max(1));
            mean.store(if before == 0 { each } else { before - before / 4 + each / 4 }, Ordering::Relaxed);
        };
        note(&self.batches.mean, nanos / count);
        note(&self.batches.mean_bytes, reply.bytes as u64 / count);
        self.end(client, sent, reply.mixed);
    }

    /// The batch ends with one outcome for all of its items.
    pub(crate) fn lost(self, client: &PythonClient, sent: Arc<dyn Sent>) {
        self.end(client, sent, false);
    }

    fn end(self, client: &PythonClient, sent: Arc<dyn Sent>, mixed: bool) {
        let Self { batches, first, count } = self;
        batches.arrive(Arrived { first, count, sent, mixed });
        // Its consumer may be gone, and this thread is without the interpreter.
        client.let_go_of(batches);
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Nobody will run it.
    pub(crate) fn cancelled(self, client: &PythonClient) {
        let Self { batches, first, count } = self;
        batches.out.fetch_sub(1, Ordering::SeqCst);
        batches.publish_cancelled(first, count);
        client.let_go_of(batches);
    }
}

/// What a batch's reply says besides its results.
pub(crate) struct BatchReply {
    pub(crate) begun: Moment,
    pub(crate) ended: Moment,
    pub(crate) mixed: bool,
    /// How long it is.
    pub(crate) bytes: usize,
}

impl From<&Reply> for BatchReply {
    fn from(reply: &Reply) -> Self {
        let bytes = reply.body.len() + reply.parcel.as_ref().map_or(0, View::len);
        let mixed = reply.flags & message::MIXED != 0;
        Self { begun: reply.begun, ended: reply.ended, mixed, bytes }
    }
}
