//! The native half of `Queue`, `JoinableQueue` and `SimpleQueue`.

use super::encoding::{Encoded, decode, encode};
use super::names::names;
use super::{os_error, patience};
use crate::ffi::take_fd;
use crate::interpreter;
use crate::threading::timeout::{Patience, truth};
use pyo3::exceptions::{PyException, PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use raddle_process::primitives::{Got, Put, Stream};
use raddle_sync::{Moment, Wake};
use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longer bodies are copied without the interpreter.
const LONG: usize = 1 << 16;

/// How long a call that does not block waits for those who are just putting or getting.
const A_STEP: Duration = Duration::from_millis(20);

thread_local! {
    /// What messages are read into.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The native half of queues between processes.
#[pyclass(frozen, subclass, weakref, module = "raddle._raddle")]
pub(crate) struct SharedQueue {
    stream: Stream,
    /// Errors of pickling are raised, instead of told to `_on_queue_feeder_error`.
    strict: bool,
    closed: AtomicBool,
}

impl SharedQueue {
    fn check_open(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().closed.load(Ordering::Relaxed) {
            return Err(PyValueError::new_err(format!("Queue {} is closed", slf.repr()?)));
        }
        Ok(())
    }

    /// Puts a message, or waits until it can.
    fn send(&self, py: Python<'_>, message: &Encoded<'_, '_>, patience: Patience) -> PyResult<()> {
        let (kind, parts) = (message.kind(), [message.body()]);
        let mut put = if parts[0].len() < LONG { self.stream.try_put(kind, &parts) } else { None };
        while put.is_none() {
            let deadline = match patience {
                Patience::Until(deadline) => deadline,
                Patience::Never if self.stream.is_full() => return Err(names(py).full(py)),
                Patience::Never => Some(Moment::now() + A_STEP),
            };
            let stream = &self.stream;
            let ended = Mutex::new(None);
            let woken = interpreter::sleep(py, deadline, |until| {
                let put = stream.put(kind, &parts, until);
                *ended.lock().expect("nothing panics here") = Some(put);
                if let Put::Ended(wake) = put { wake } else { Wake::Woken }
            })?;
            put = ended.into_inner().expect("nothing panics here").filter(|_| woken);
            if put.is_none() && matches!(patience, Patience::Until(_)) {
                return Err(names(py).full(py));
            }
        }
        match put {
            Some(Put::NoRoom) => Err(PyMemoryError::new_err("the queue's memory is full")),
            _ => Ok(()),
        }
    }

    /// Takes a message, or waits until there is one. Returns its kind.
    fn receive(&self, py: Python<'_>, body: &mut Vec<u8>, patience: Patience) -> PyResult<u8> {
        let mut got = self.stream.try_get(body);
        while got.is_none() {
            let deadline = match patience {
                Patience::Until(deadline) => deadline,
                Patience::Never if self.stream.is_empty() => return Err(names(py).empty(py)),
                Patience::Never => Some(Moment::now() + A_STEP),
            };
            let stream = &self.stream;
            let ended = Mutex::new((std::mem::take(body), None));
            let woken = interpreter::sleep(py, deadline, |until| {
                let mut ended = ended.lock().expect("nothing panics here");
                let got = stream.get(&mut ended.0, until);
                ended.1 = Some(got);
                if let Got::Ended(wake) = got { wake } else { Wake::Woken }
            })?;
            (*body, got) = ended.into_inner().expect("nothing panics here");
            got = got.filter(|_| woken);
            if got.is_none() && matches!(patience, Patience::Until(_)) {
                return Err(names(py).empty(py));
            }
        }
        match got {
            Some(Got::Message(kind)) => Ok(kind),
            Some(Got::Corrupt(corrupt)) => Err(PyRuntimeError::new_err(corrupt.to_string())),
            _ => Err(names(py).empty(py)),
        }
    }

    fn get_within<'py>(slf: &Bound<'py, Self>, patience: Patience) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let mut body = SCRATCH.take();
        let object = this.receive(py, &mut body, patience).and_then(|kind| decode(py, kind, &body));
        if body.capacity() <= LONG {
            SCRATCH.set(body);
        }
        object
    }

    fn put_within(slf: &Bound<'_, Self>, object: &Bound<'_, PyAny>, patience: Patience) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        match encode(object) {
            Ok(message) => this.send(py, &message, patience),
            Err(error) if !this.strict && error.is_instance_of::<PyException>(py) => {
                let error = error.into_value(py);
                slf.call_method1(names(py).on_error.bind(py), (error, object)).map(drop)
            }
            Err(error) => Err(error),
        }
    }
}

#[pymethods]
impl SharedQueue {
    /// A queue without a limit, or the one behind the descriptors `given`, which it takes over.
    #[new]
    #[pyo3(signature = (strict, given = None, /))]
    fn new(strict: bool, given: Option<(i32, i32)>) -> PyResult<Self> {
        match given {
            None => Stream::new(0),
            Some((memory, alarm)) => Stream::attach(take_fd(memory), take_fd(alarm)),
        }
        .map(|stream| Self { stream, strict, closed: AtomicBool::new(false) })
        .map_err(os_error)
    }

    /// Holds at most `limit` objects from now on (0: no limit): what `__init__` does.
    #[pyo3(signature = (limit, /))]
    fn _set_limit(&self, limit: u32) {
        self.stream.set_limit(limit);
    }

    /// Puts an object. If the queue is full, waits if `block`, at most `timeout` seconds (None: for ever), then raises `Full`.
    #[pyo3(signature = (obj, block = true, timeout = None), text_signature = "($self, obj, block=True, timeout=None)")]
    fn put(
        slf: &Bound<'_, Self>,
        obj: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        Self::check_open(slf)?;
        Self::put_within(slf, obj, patience(block, timeout)?)
    }

    /// Takes an object. If there is none, waits if `block`, at most `timeout` seconds (None: for ever), then raises `Empty`.
    #[pyo3(signature = (block = true, timeout = None), text_signature = "($self, block=True, timeout=None)")]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::check_open(slf)?;
        Self::get_within(slf, patience(block, timeout)?)
    }

    /// How many objects there are.
    fn qsize(&self) -> u32 {
        self.stream.len()
    }

    /// Whether there are none.
    fn empty(&self) -> bool {
        self.stream.is_empty()
    }

    /// Whether there are as many as there can be.
    fn full(&self) -> bool {
        self.stream.is_full()
    }

    /// Says that this process is done with it; what it has put stays there.
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether this process has closed it.
    fn _is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The descriptors of its memory and its alarm, which stay this object's.
    fn _fds(&self) -> (i32, i32) {
        let (memory, alarm) = self.stream.fds();
        (memory.as_raw_fd(), alarm.as_raw_fd())
    }

    /// From now on, the second of its descriptors is readable while there are objects. Once more after another reader was faster.
    fn _watch(&self) {
        self.stream.watch();
        self.stream.silence();
    }

    /// From now on, what this process takes is noted at the desk of this number.
    #[pyo3(signature = (desk, /))]
    fn _sit(&self, desk: usize) -> PyResult<()> {
        if self.stream.sit(desk) { Ok(()) } else { Err(PyValueError::new_err("there is no such desk")) }
    }

    /// What this process took is dealt with.
    fn _clear_desk(&self) {
        self.stream.clear_desk();
    }

    /// Which object, counted from zero, a process that is gone took at the desk and did not deal with.
    #[pyo3(signature = (desk, /))]
    fn _taken_at(&self, desk: usize) -> Option<u32> {
        self.stream.taken_at(desk)
    }

    /// Says that what one object asked for is done. Raises `ValueError` when as much is done as was put.
    fn _done(&self) -> PyResult<()> {
        self.stream.done().map_err(|_| PyValueError::new_err("task_done() called too many times"))
    }

    /// Waits until all is done.
    fn _join(&self, py: Python<'_>) -> PyResult<()> {
        if self.stream.all_done() {
            return Ok(());
        }
        interpreter::sleep(py, None, |until| self.stream.join(until)).map(drop)
    }
}
