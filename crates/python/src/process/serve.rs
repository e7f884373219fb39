//! What a worker does all its life: it takes a message, does what it says, and replies.
//!
//! The interpreter is let go only while there is nothing to do. Whatever a task raises is its outcome, `SystemExit` and
//! `KeyboardInterrupt` included, as in the stdlib.

use crate::context::{in_copy_of_loaded, in_loaded};
use crate::ffi::{self, CallResult};
use crate::process::codec::{Codec, Pickled, corrupt};
use crate::process::{lending, share};
use pyo3::exceptions::{PyBaseException, PyException, PyRuntimeError, PySystemExit, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use raddle_process::Corrupt;
use raddle_process::arena::{ALIGNMENT, Arena, Block, Gallery, View};
use raddle_process::channel::{Bell, Header, LARGEST, Message, Voice, WorkerSide};
use raddle_process::message::{self, Fields, Place, Reader};
use raddle_process::parcel;
use raddle_sync::{ForkCell, Moment};
use raddle_sys::{fork, process};
use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long one who waits for room in the arena relies on being told.
const ROOM_NAP: Duration = Duration::from_millis(100);

/// This worker's, once it serves; a process that a task forks has none, as two can't speak at once.
static VOICE: ForkCell<OnceLock<Voice>> = ForkCell::empty();

/// A worker at work.
struct Worker {
    side: WorkerSide,
    arguments: Arc<Gallery>,
    results: Arena,
    /// Blocks of results in the parent's hands, by the number of the lease.
    lent: HashMap<u16, Block>,
    functions: HashMap<u64, Function>,
    codec: Codec,
    run_coroutine: Py<PyAny>,
    memory: Option<Allowance>,
    /// Of this process's forks: a child that a task has forked, and that comes back from the task, is no worker.
    epoch: u32,
}

/// A function that the worker has been told. It is unpickled by its first call: what that does to the worker is the call's doing.
struct Function {
    pickle: Cell<Option<Py<PyBytes>>>,
    loaded: OnceCell<CallResult>,
}

impl Function {
    fn get(&self, py: Python<'_>, codec: &Codec) -> &CallResult {
        self.loaded.get_or_init(|| {
            let pickle = self.pickle.take().expect("taken once, here");
            // What went wrong is told by each call of the function.
            codec
                .slow(py, "load_function", (pickle,))
                .map(Bound::unbind)
                .map_err(|error| error.into_value(py))
        })
    }
}

/// How much private memory a worker may have when a task is over.
struct Allowance {
    most: u64,
    /// What was resident when the private part of it was measured last, which takes longer.
    measured_at: u64,
}

impl Allowance {
    fn is_exceeded(&mut self) -> bool {
        let me = process::id();
        let resident = process::resident_bytes(me).unwrap_or_default();
        if resident < self.most || resident < self.measured_at + self.most / 16 {
            return false;
        }
        self.measured_at = resident;
        process::private_bytes(me).is_some_and(|bytes| bytes >= self.most)
    }
}

/// Serves a pool of another process until it says that this one may leave.
///
/// Arguments: file descriptors of the channel, the bell, the arena of arguments and that of results, which are taken over;
/// `prepare()`, run before the first task; `run_coroutine(coroutine)`, which returns its result; `max_memory`, bytes of private
/// memory with which this process does not begin another task.
#[pyfunction]
#[pyo3(signature = (channel, bell, arguments, results, prepare, run_coroutine, max_memory, /))]
#[expect(clippy::too_many_arguments, reason = "a worker's whole world")]
pub(crate) fn serve(
    py: Python<'_>,
    channel: i32,
    bell: i32,
    arguments: i32,
    results: i32,
    prepare: &Bound<'_, PyAny>,
    run_coroutine: Py<PyAny>,
    max_memory: Option<u64>,
) -> PyResult<()> {
    let [channel, bell, arguments, results] = [channel, bell, arguments, results].map(ffi::take_fd);
    let mut worker = Worker {
        side: WorkerSide::attach(channel, Bell::attach(bell)?)?,
        arguments: Gallery::attach(arguments)?,
        results: Arena::attach(results)?,
        lent: HashMap::new(),
        functions: HashMap::new(),
        codec: Codec::new(py)?,
        run_coroutine,
        memory: max_memory.map(|most| Allowance { most, measured_at: 0 }),
        epoch: fork::epoch(),
    };
    let _ = VOICE.get(OnceLock::new).set(worker.side.voice());
    if let Err(error) = ffi::invoke(prepare, ()) {
        let pickle = worker.short_error(py, &error)?;
        return worker.say(py, message::BROKEN, 0, 0, &[&pickle]);
    }
    worker.say(py, message::READY, 0, 0, &[])?;
    worker.work(py)
}

/// Tells the parent something of this worker's own accord, from any thread; waits for room in the channel.
///
/// Arguments: `kind`, from 0; `body`, that fits into a message. Returns False where this process is no worker.
#[pyfunction]
#[pyo3(signature = (kind, body, /))]
pub(crate) fn tell_parent(py: Python<'_>, kind: u16, body: &[u8]) -> PyResult<bool> {
    if body.len() > LARGEST {
        return Err(PyValueError::new_err("a note is too long"));
    }
    let Some(voice) = VOICE.get(OnceLock::new).get() else { return Ok(false) };
    let message = Message { kind: message::NOTE.saturating_add(kind), flags: 0, task: 0, parts: &[body] };
    while voice.say(&message).is_err() {
        let until = Some(Moment::now() + ROOM_NAP);
        py.detach(|| voice.sleep_for_room(until));
        py.check_signals()?;
    }
    Ok(true)
}

/// Tells the parent something that consists of its kind, whatever signals arrive meanwhile; nothing where this process is no worker.
pub(crate) fn say_surely(py: Python<'_>, kind: u16) {
    let Some(voice) = VOICE.get(OnceLock::new).get() else { return };
    while voice.say(&Message { kind, flags: 0, task: 0, parts: &[] }).is_err() {
        let until = Some(Moment::now() + ROOM_NAP);
        py.detach(|| voice.sleep_for_room(until));
    }
}

/// What a worker is to do, unpickled.
struct Assignment<'py> {
    /// None: it comes with the arguments.
    function: Option<Bound<'py, PyAny>>,
    content: Bound<'py, PyAny>,
    context: Option<Bound<'py, PyAny>>,
}

/// Items of a map, run: their results, in whose place None stands for those that have none.
struct Batch<'py> {
    results: Bound<'py, PyList>,
    failures: Vec<(usize, Py<PyBaseException>)>,
}

/// The end of a process that a task has forked, and that came back from the task: as of a program at its last line. The task's
/// outcome is what its worker says.
fn leave_forked(py: Python<'_>, failure: Option<Py<PyBaseException>>) -> PyErr {
    match failure.map(|exception| PyErr::from_value(exception.into_bound(py).into_any())) {
        None => PySystemExit::new_err(0),
        Some(exit) if exit.is_instance_of::<PySystemExit>(py) => exit,
        Some(error) => {
            error.print(py);
            PySystemExit::new_err(1)
        }
    }
}

impl Worker {
    fn work(&mut self, py: Python<'_>) -> PyResult<()> {
        let mut body = Vec::new();
        loop {
            let Some(header) = self.side.next(&mut body) else {
                share::sweep(py);
                let side = &self.side;
                py.detach(|| side.sleep(None));
                py.check_signals()?;
                continue;
            };
            match header.kind {
                message::DEFINE => self.define(py, header, &body)?,
                message::FORGET => {
                    let number = Reader::new(&body).number().map_err(corrupt)?;
                    drop(self.functions.remove(&number));
                }
                message::CALL => self.call(py, header, &body)?,
                message::BATCH | message::SPREAD_BATCH => self.batch(py, header, &body)?,
                message::NEWS => drop(self.codec.slow(py, "load_path", (PyBytes::new(py, &body),))?),
                message::LEAVE => return Ok(()),
                _ => {}
            }
            if header.claim.is_some() && self.memory.as_mut().is_some_and(Allowance::is_exceeded) {
                return self.say(py, message::LEAVING, 0, 0, &[]);
            }
        }
    }

    /// The block that a message comes with, if it has one.
    fn view(&self, header: Header, reader: &mut Reader<'_>) -> PyResult<Option<Arc<View>>> {
        if header.flags & message::PARCEL == 0 {
            return Ok(None);
        }
        let Place { block, lease } = reader.place().map_err(corrupt)?;
        let loan = self.side.borrow(lease).map_err(corrupt)?;
        let view = self.arguments.view(block, Box::new(loan)).map_err(corrupt)?;
        let copy = header.flags & message::COPY != 0;
        Ok(Some(Arc::new(if copy { view.copied() } else { view })))
    }

    fn define(&mut self, py: Python<'_>, header: Header, body: &[u8]) -> PyResult<()> {
        let mut reader = Reader::new(body);
        let view = self.view(header, &mut reader)?;
        let number = reader.number().map_err(corrupt)?;
        let pickle = match &view {
            None => PyBytes::new(py, reader.rest()),
            Some(view) => {
                let parts = parcel::parts(view).map_err(corrupt)?;
                PyBytes::new(py, &parcel::body(view, &parts).map_err(corrupt)?)
            }
        };
        let function = Function { pickle: Cell::new(Some(pickle.unbind())), loaded: OnceCell::new() };
        drop(self.functions.insert(number, function));
        Ok(())
    }

    fn call(&mut self, py: Python<'_>, header: Header, body: &[u8]) -> PyResult<()> {
        lending::begin_task();
        let begun = Moment::now();
        let unpacked = self.unpack(py, header, body);
        let flags = if unpacked.is_ok() { 0 } else { message::UNMADE };
        let run = |assignment| {
            let Assignment { function, content, context } = assignment;
            let both = content.cast_into::<PyTuple>()?;
            let (args, kwargs) = (both.get_item(0)?.cast_into::<PyTuple>()?, both.get_item(1)?);
            drop(both);
            let kwargs = if kwargs.is_none() { None } else { Some(kwargs.cast_into::<PyDict>()?) };
            let (function, args) = match function {
                Some(function) => (function, args),
                None => (args.get_item(0)?, args.get_slice(1, args.len())),
            };
            in_loaded(py, context.as_ref(), || {
                // They are not to outlive the call.
                let (args, kwargs) = (args, kwargs);
                self.complete(py, ffi::call(&function, &args, kwargs.as_ref()))
            })
        };
        let outcome = unpacked.and_then(run).unwrap_or_else(|error: PyErr| Err(error.into_value(py)));
        if self.is_forked() {
            return Err(leave_forked(py, outcome.err()));
        }
        let ended = Moment::now();
        self.reply(py, header.task, outcome, flags, begun, ended)
    }

    /// Whether a task has forked this process, and come back in it too.
    fn is_forked(&self) -> bool {
        self.epoch != fork::epoch()
    }

    /// Waits for a coroutine, if that is what a call has returned.
    fn complete(&self, py: Python<'_>, outcome: CallResult) -> CallResult {
        match outcome {
            Ok(result) if ffi::is_coroutine(result.bind(py)) => {
                ffi::call_one(self.run_coroutine.bind(py), result.bind(py))
            }
            other => other,
        }
    }

    fn batch(&mut self, py: Python<'_>, header: Header, body: &[u8]) -> PyResult<()> {
        lending::begin_task();
        let begun = Moment::now();
        let unpacked = self.unpack(py, header, body);
        let flags = if unpacked.is_ok() { 0 } else { message::UNMADE };
        let run = |assignment| {
            let Assignment { function, content, context } = assignment;
            let function = function.ok_or_else(|| PyRuntimeError::new_err("a batch without a function"))?;
            let items = content.cast_into::<PyList>()?;
            let spread = header.kind == message::SPREAD_BATCH;
            let (results, mut failures) = (PyList::empty(py), Vec::new());
            for (index, item) in items.iter().enumerate() {
                let outcome = in_copy_of_loaded(py, context.as_ref(), || {
                    let outcome = match item.cast::<PyTuple>() {
                        Ok(args) if spread => ffi::call(&function, args, None),
                        _ => ffi::call_one(&function, &item),
                    };
                    self.complete(py, outcome)
                })?;
                match outcome {
                    _ if self.is_forked() => {
                        return outcome
                            .map(|_| Batch { results, failures })
                            .map_err(|exception| PyErr::from_value(exception.into_bound(py).into_any()));
                    }
                    Ok(result) => results.append(result)?,
                    Err(exception) => {
                        results.append(py.None())?;
                        failures.push((index, exception));
                    }
                }
            }
            Ok(Batch { results, failures })
        };
        let ran = unpacked.and_then(run);
        if self.is_forked() {
            return Err(leave_forked(py, ran.err().map(|error| error.into_value(py))));
        }
        let dumped = ran.and_then(|batch| self.dump_batch(py, batch));
        match dumped {
            Ok((pickled, flags)) => self.send(py, header.task, message::RESULT, flags, &pickled, begun, None),
            Err(error) => {
                let pickled = self.error(py, &error)?;
                self.send(py, header.task, message::ERROR, flags, &pickled, begun, None)
            }
        }
    }

    /// Pickles what became of a batch. Where the results can't be pickled together, each is tried by itself.
    fn dump_batch<'py>(&self, py: Python<'py>, batch: Batch<'py>) -> PyResult<(Pickled<'py>, u16)> {
        let Batch { results, mut failures } = batch;
        if failures.is_empty() {
            match self.codec.dump_result(results.as_any()) {
                Ok(pickled) => return Ok((pickled, 0)),
                Err(error) if error.is_instance_of::<PyException>(py) => {}
                Err(error) => return Err(error),
            }
        }
        for index in 0..results.len() {
            if let Err(error) = self.codec.dump_result(&results.get_item(index)?) {
                results.set_item(index, py.None())?;
                failures.push((index, error.into_value(py)));
            }
        }
        let pickle = |(index, exception): (usize, Py<PyBaseException>)| {
            let error = PyErr::from_value(exception.into_bound(py).into_any());
            Ok((index, self.error(py, &error)?.bytes))
        };
        let failures = failures.into_iter().map(pickle).collect::<PyResult<Vec<_>>>()?;
        let both = (results, failures).into_pyobject(py)?;
        Ok((self.codec.dump_result(both.as_any())?, message::MIXED))
    }

    fn unpack<'py>(&self, py: Python<'py>, header: Header, body: &[u8]) -> PyResult<Assignment<'py>> {
        let mut reader = Reader::new(body);
        let view = self.view(header, &mut reader)?;
        let number = reader.number().map_err(corrupt)?;
        let (parts, stored) = match &view {
            Some(view) => {
                let parts = parcel::parts(view).map_err(corrupt)?;
                let stored = parcel::body(view, &parts).map_err(corrupt)?;
                (parts, stored)
            }
            None => Default::default(),
        };
        let sent = if stored.is_empty() { reader.rest() } else { &stored };
        let mut reader = Reader::new(sent);
        let context_len = usize::try_from(reader.number().map_err(corrupt)?).unwrap_or(usize::MAX);
        let split = reader.rest().split_at_checked(context_len);
        let (variables, pickle) =
            split.ok_or_else(|| corrupt(Corrupt("a context is longer than its message")))?;
        let function = if number == 0 {
            None
        } else {
            match self.functions.get(&number).map(|function| function.get(py, &self.codec)) {
                Some(Ok(function)) => Some(function.bind(py).clone()),
                Some(Err(exception)) => return Err(PyErr::from_value(exception.bind(py).clone().into_any())),
                None => return Err(PyRuntimeError::new_err("the worker has not been told this function")),
            }
        };
        let content = match &view {
            Some(view) => self.codec.load_with(py, pickle, view, parts.get(1..).unwrap_or_default())?,
            None => self.codec.load(py, pickle, None)?,
        };
        let loaded = match variables {
            [] => None,
            pickle => Some(self.codec.slow(py, "load_context", (PyBytes::new(py, pickle),))?),
        };
        Ok(Assignment { function, content, context: loaded })
    }

    /// Tells what has become of a call; the flags are an error's.
    fn reply(
        &mut self,
        py: Python<'_>,
        task: u64,
        outcome: CallResult,
        flags: u16,
        begun: Moment,
        ended: Moment,
    ) -> PyResult<()> {
        let dumped = outcome
            .and_then(|result| self.codec.dump_result(result.bind(py)).map_err(|error| error.into_value(py)));
        let (kind, flags, pickled) = match dumped {
            Ok(pickled) => (message::RESULT, 0, pickled),
            Err(exception) => {
                let error = PyErr::from_value(exception.into_bound(py).into_any());
                (message::ERROR, flags, self.error(py, &error)?)
            }
        };
        self.send(py, task, kind, flags, &pickled, begun, Some(ended))
    }

    /// Sends an outcome. `ended` is None for a task that has taken as long as sending it takes, too: that of a batch is to, since the
    /// parent sizes batches by it.
    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    fn send(
        &mut self,
        py: Python<'_>,
        task: u64,
        kind: u16,
        flags: u16,
        pickled: &Pickled<'_>,
        begun: Moment,
        ended: Option<Moment>,
    ) -> PyResult<()> {
        let times = |fields: Fields| {
            let ended = ended.unwrap_or_else(Moment::now);
            fields.number(begun.as_nanos()).number(ended.as_nanos())
        };
        let bytes = pickled.bytes.as_bytes();
        let fits = bytes.len() + Fields::MOST <= LARGEST;
        if pickled.buffers.is_empty() && fits {
            return self.say(py, kind, flags, task, &[times(Fields::default()).as_bytes(), bytes]);
        }
        let (inline, stored) = if fits { (bytes, &[][..]) } else { (&[][..], bytes) };
        let mut parts = vec![stored];
        parts.extend(pickled.parts());
        if let Some(place) = self.store(py, &parts)? {
            let fields = times(Fields::default().place(place));
            return self.say(py, kind, flags | message::PARCEL, task, &[fields.as_bytes(), inline]);
        }
        let limit = self.results.ceiling();
        let too_long = PyValueError::new_err(format!(
            "the result is longer than the executor's arena ({limit} bytes): make it with a larger arena_limit"
        ));
        let error = self.short_error(py, &too_long)?;
        self.say(py, message::ERROR, 0, task, &[times(Fields::default()).as_bytes(), &error])
    }

    /// Copies the parts into a block of this worker's arena, waiting for the parent to give one back. None when no block could
    /// ever hold them.
    fn store(&mut self, py: Python<'_>, parts: &[&[u8]]) -> PyResult<Option<Place>> {
        let laid_out = parcel::layout(parts.iter().map(|part| part.len()));
        let Some((table, len)) = laid_out.filter(|(_, len)| *len <= self.results.ceiling()) else {
            return Ok(None);
        };
        let place = loop {
            self.collect_leases();
            if let Some(block) = self.results.allocate_below_ceiling(len) {
                if let Some(lease) = self.side.lend() {
                    break Place { block, lease };
                }
                self.results.free(block);
            }
            let side = &self.side;
            let until = Some(Moment::now() + ROOM_NAP);
            py.detach(|| side.sleep_for_leases(until));
            py.check_signals()?;
        };
        self.lent.insert(place.lease, place.block);
        let mut writer = self.results.writer(place.block);
        py.detach(|| {
            writer.put(&table);
            for part in parts {
                writer.align(ALIGNMENT);
                writer.put(part);
            }
        });
        Ok(Some(place))
    }

    fn collect_leases(&mut self) {
        let Self { side, results, lent, .. } = self;
        side.returned(&mut |lease| {
            if let Some(block) = lent.remove(&lease) {
                results.free(block);
            }
        });
    }

    fn error<'py>(&self, py: Python<'py>, error: &PyErr) -> PyResult<Pickled<'py>> {
        let bytes = self.codec.slow(py, "dump_error", (error.value(py),))?.cast_into::<PyBytes>()?;
        Ok(Pickled { bytes, buffers: Vec::new() })
    }

    /// A pickled error that fits into a message.
    fn short_error(&self, py: Python<'_>, error: &PyErr) -> PyResult<Vec<u8>> {
        let pickled = self.error(py, error)?;
        let bytes = pickled.bytes.as_bytes();
        if bytes.len() + Fields::MOST <= LARGEST {
            return Ok(bytes.to_vec());
        }
        let class = error.get_type(py);
        let short = PyRuntimeError::new_err(format!("{class}, whose details are too long to be sent"));
        self.short_error(py, &short)
    }

    /// Sends a message, waiting for room.
    fn say(&mut self, py: Python<'_>, kind: u16, flags: u16, task: u64, parts: &[&[u8]]) -> PyResult<()> {
        let message = Message { kind, flags, task, parts };
        while self.side.reply(&message).is_err() {
            let side = &self.side;
            // Another thread that sleeps for the same may be woken in this one's place.
            let until = Some(Moment::now() + ROOM_NAP);
            py.detach(|| side.sleep_for_room(until));
            py.check_signals()?;
        }
        Ok(())
    }
}
