//! A map on worker processes: items travel in batches.
//!
//! ```text
//!  consumer ── feed ──▶ pending ── pack ──▶ a batch in the pool ── arrive ──▶ unpack ──▶ slots ── take ──▶ consumer
//! ```
//!
//! **How many items.** A batch is to take about [`SPAN`], as measured from those that have come back; the first ones hold one item.
//! So tiny items cost little dispatch each, and where items take longer than that, each is a batch of its own that holds nobody up.
//! Towards the end of the input batches shrink, so that the workers end together.
//!
//! **When.** Items are packed as late as workers allow, a few batches ahead of them: by whoever feeds, by the consumer, and when
//! neither is there by the pool's collector, which asks for the interpreter then.
//!
//! When a worker dies, the batch that it had begun is lost: its items may have run, all of them.

use crate::ffi::CallResult;
use crate::process::client::{PythonClient, Task};
use crate::process::codec::Codec;
use crate::process::pool::Share;
use crate::sent::Sent;
use crate::turns::ItemOutcome;
use pyo3::exceptions::{PyBaseException, PyException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use raddle_process::message;
use raddle_process::pool::{Definition, Order, Reply, Reservation, Submit};
use raddle_sync::{Moment, Mutex, Wake};
use raddle_task::map::Map;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How long a batch is to take.
const SPAN: Duration = Duration::from_millis(2);

/// Of how many items a batch consists at most, however short they are.
const MOST: usize = 4096;

/// How many batches are out for each worker, at most.
const AHEAD: usize = 3;

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
    context: Vec<u8>,
    /// The items are tuples of arguments, not single arguments.
    spread: bool,
    /// Items of a batch, if that was said.
    size: Option<usize>,
    buffersize: usize,
    priority: i32,
    workers: usize,
    /// Batches that are out.
    out: AtomicUsize,
    /// Nanoseconds that an item takes; 0: not known yet.
    mean: AtomicU64,
    /// No further items will be fed.
    complete: AtomicBool,
    arrived: Mutex<Vec<Arrived>>,
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
    pub(crate) workers: usize,
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
        let BatchOptions { spread, size, buffersize, priority, workers } = *options;
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
            workers,
            out: AtomicUsize::new(0),
            mean: AtomicU64::new(0),
            complete: AtomicBool::new(false),
            arrived: Mutex::default(),
            reservation: Mutex::default(),
        });
        share.pool.client().register(&batches);
        Ok(batches)
    }

    /// Adds an item, and sends what makes a batch.
    pub(crate) fn feed(self: &Arc<Self>, py: Python<'_>, item: Py<PyAny>) -> PyResult<()> {
        self.share.check_open(py)?;
        self.map.feed(item);
        let out = self.out.load(Ordering::Relaxed);
        if out < self.workers || (out < self.most_out() && self.map.pending() >= self.fitting()) {
            self.pack(py);
        } else {
            self.hold();
        }
        Ok(())
    }

    /// The input has ended.
    pub(crate) fn finish(self: &Arc<Self>, py: Python<'_>) {
        self.complete.store(true, Ordering::Relaxed);
        self.pack(py);
    }

    const fn most_out(&self) -> usize {
        AHEAD * self.workers
    }

    /// Of how many items a batch takes as long as it should.
    fn fitting(&self) -> usize {
        if let Some(size) = self.size {
            return size;
        }
        let span = u64::try_from(SPAN.as_nanos()).expect("a short span");
        let fitting = span.checked_div(self.mean.load(Ordering::Relaxed)).unwrap_or(1);
        let shared = (self.buffersize / (2 * self.workers)).max(1);
        usize::try_from(fitting).unwrap_or(MOST).clamp(1, MOST).min(shared)
    }

    fn next_size(&self) -> usize {
        let fitting = self.fitting();
        if self.size.is_some() || !self.complete.load(Ordering::Relaxed) {
            return fitting;
        }
        fitting.min(self.map.pending().div_ceil(2 * self.workers)).max(1)
    }

    /// Keeps the pool from ending for as long as something is pending.
    fn hold(&self) {
        let pending = self.map.pending() > 0;
        let mut reservation = self.reservation.lock();
        if pending == reservation.is_some() {
            return;
        }
        let stale = if pending {
            *reservation = Some(self.share.pool.reserve_again());
            None
        } else {
            reservation.take()
        };
        drop(reservation);
        drop(stale);
    }

    /// Sends batches for as long as there are items, and workers that could do with them.
    fn pack(self: &Arc<Self>, py: Python<'_>) {
        loop {
            // Counted before, so that two threads never send too many.
            if self.out.fetch_add(1, Ordering::Relaxed) >= self.most_out() {
                break;
            }
            let Some((first, items)) = self.map.claim_many(self.next_size()) else { break };
            self.send(py, first, items);
        }
        self.out.fetch_sub(1, Ordering::Relaxed);
        self.hold();
    }

    /// Sends one batch, which is counted as out. What can't be sent is the outcome of its items.
    fn send(self: &Arc<Self>, py: Python<'_>, first: u64, items: Vec<Py<PyAny>>) {
        let count = items.len();
        match self.try_send(py, first, &items) {
            Ok(()) => {}
            Err(error) if count > 1 && error.is_instance_of::<PyException>(py) => {
                // One of them is to blame; the others are sent without it.
                self.out.fetch_add(count - 1, Ordering::Relaxed);
                for (index, item) in (first..).zip(items) {
                    self.send(py, index, vec![item]);
                }
            }
            Err(error) => {
                self.out.fetch_sub(1, Ordering::Relaxed);
                let exception = error.into_value(py);
                let failed = || Some(Err(exception.clone_ref(py)));
                self.map.publish_many(first, (0..count).map(|_| failed()));
            }
        }
    }

    fn try_send(self: &Arc<Self>, py: Python<'_>, first: u64, items: &[Py<PyAny>]) -> PyResult<()> {
        let list = PyList::new(py, items)?;
        let packed = self.share.pack(py, &self.context, || self.share.codec.dump_items(&list))?;
        let batch = Batch { batches: Arc::clone(self), first, count: items.len() };
        let order = Order {
            number: self.share.pool.next_number(),
            task: Task::Batch(batch),
            kind: if self.spread { message::SPREAD_BATCH } else { message::BATCH },
            function: Some(Arc::clone(&self.definition)),
            body: packed.body,
            parcel: packed.parcel,
            kept: packed.kept,
            timeout: None,
            priority: self.priority,
        };
        match self.share.pool.resubmit(order) {
            Ok(()) => Ok(()),
            Err(Submit::Broken(_) | Submit::Closed(_) | Submit::Full(..)) => Err(self.share.refusal(py)),
        }
    }

    fn arrive(self: &Arc<Self>, arrived: Arrived) {
        self.arrived.lock().push(arrived);
        self.out.fetch_sub(1, Ordering::Relaxed);
        self.map.ring();
        if self.map.pending() > 0 {
            // Nobody may be there to do it: the consumer may not have asked yet, or be at something else.
            Python::try_attach(|py| self.pack(py));
        }
    }

    /// Publishes the items of the batches that have come back; returns whether there were any.
    pub(crate) fn unpack(self: &Arc<Self>, py: Python<'_>) -> bool {
        self.share.pool.client().sweep(py);
        let arrived = std::mem::take(&mut *self.arrived.lock());
        let any = !arrived.is_empty();
        for batch in arrived {
            let Arrived { first, count, sent, mixed } = batch;
            match open(py, &self.share.codec, &sent, count, mixed) {
                Ok(outcomes) => self.map.publish_many(first, outcomes.into_iter().map(Some)),
                Err(exception) => {
                    let failed = (0..count).map(|_| Some(Err(exception.clone_ref(py))));
                    self.map.publish_many(first, failed);
                }
            }
        }
        any
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

/// What became of each item of a batch.
fn open(
    py: Python<'_>,
    codec: &Codec,
    sent: &Arc<dyn Sent>,
    count: usize,
    mixed: bool,
) -> Result<Vec<CallResult>, Py<PyBaseException>> {
    let opened = sent.open(py, None)?.into_bound(py);
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
            let exception = codec.load_error(py, pickle.as_bytes(), None);
            if let Some(outcome) = outcomes.get_mut(index) {
                *outcome = Err(exception);
            }
        }
        Ok(outcomes)
    };
    match read() {
        Ok(outcomes) if outcomes.len() == count => Ok(outcomes),
        Ok(_) => Err(PyRuntimeError::new_err("a worker has sent results of other items").into_value(py)),
        Err(error) => Err(error.into_value(py)),
    }
}

impl Batch {
    pub(crate) fn is_wanted(&self) -> bool {
        !self.batches.map.is_closed()
    }

    pub(crate) fn finished(self, client: &PythonClient, sent: Arc<dyn Sent>, reply: &BatchReply) {
        let nanos = u64::try_from(reply.ended.since(reply.begun).as_nanos()).unwrap_or(u64::MAX);
        let each = (nanos / self.count.max(1) as u64).max(1);
        let mean = &self.batches.mean;
        let before = mean.load(Ordering::Relaxed);
        mean.store(if before == 0 { each } else { before - before / 4 + each / 4 }, Ordering::Relaxed);
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
        batches.out.fetch_sub(1, Ordering::Relaxed);
        batches.map.publish_many(first, (0..count).map(|_| None));
        client.let_go_of(batches);
    }
}

/// What a batch's reply says besides its results.
pub(crate) struct BatchReply {
    pub(crate) begun: Moment,
    pub(crate) ended: Moment,
    pub(crate) mixed: bool,
}

impl From<&Reply> for BatchReply {
    fn from(reply: &Reply) -> Self {
        Self { begun: reply.begun, ended: reply.ended, mixed: reply.flags & message::MIXED != 0 }
    }
}
