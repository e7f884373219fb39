//! What goes between a manager and its proxies: calls of methods, through shared memory (`raddle_process::rpc`).
//!
//! A request is the object's number, the method's name and the arguments. Where the arguments are plain, it is written down as it is;
//! else it is pickled, as the stdlib's is. An answer is what the method returned, likewise, or any other message of the stdlib's
//! protocol, pickled.
//!
//! The proxies are the stdlib's. What they send through a connection and receive from it ends up in a [`RemoteCaller`]; a
//! [`RemoteCallee`] stands in the manager's process and has the methods called, without a line of Python in between.

use super::encoding::{decode, pickled, plain, unpickled};
use super::names::names;
use super::pipe::{Signals, fill, persist, receive_rest, write_all};
use crate::ffi::{self, borrow_fd, take_fd};
use pyo3::exceptions::{PyEOFError, PyException, PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use raddle_process::rpc::{self, End, Side};
use raddle_sys::memory::Memory;
use raddle_sys::socket;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

/// Kinds of requests.
const PICKLED: u8 = 0;
const PLAIN: u8 = 1;

/// Kinds of answers: a pickled message of any kind, or what a method returned, in one of the kinds of [`plain`] above this one.
const MESSAGE: u8 = 0;
const RETURNED: u8 = 16;

/// Room that is kept for the next message.
const KEPT: usize = 1 << 16;

/// A request, as it was sent.
struct Request<'py> {
    ident: Bound<'py, PyAny>,
    method: Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    named: Option<Bound<'py, PyDict>>,
}

/// Appends a length and so many bytes; false if they are too many.
fn append(body: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let Ok(len) = u32::try_from(bytes.len()) else { return false };
    body.extend_from_slice(&len.to_ne_bytes());
    body.extend_from_slice(bytes);
    true
}

/// Takes what [`append`] has put.
fn take<'a>(body: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = body.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_ne_bytes(*len) as usize)?;
    *body = rest;
    Some(bytes)
}

/// Writes down `(ident, method, args, named)` if all of it is plain.
fn write_plain(request: &Bound<'_, PyTuple>, body: &mut Vec<u8>) -> Option<()> {
    body.clear();
    for index in 0..2 {
        let text = request.get_borrowed_item(index).ok()?;
        append(body, text.cast_exact::<PyString>().ok()?.to_str().ok()?.as_bytes()).then_some(())?;
    }
    let named = request.get_borrowed_item(3).ok()?;
    if !named.cast_exact::<PyDict>().ok()?.is_empty() {
        return None;
    }
    let args = request.get_borrowed_item(2).ok()?;
    for arg in args.cast_exact::<PyTuple>().ok()?.iter_borrowed() {
        let arg = plain(&arg)?;
        body.push(arg.kind());
        append(body, arg.body()).then_some(())?;
    }
    Some(())
}

/// Reads what [`write_plain`] wrote. Raises what unpickling raises.
fn read<'py>(py: Python<'py>, kind: u8, mut body: &[u8]) -> PyResult<Request<'py>> {
    if kind != PLAIN {
        let request = unpickled(py, body)?.cast_into::<PyTuple>()?;
        let (ident, method, args, named): (_, _, Bound<'py, PyAny>, Bound<'py, PyDict>) =
            request.extract()?;
        let args = args.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        return Ok(Request { ident, method, args: PyTuple::new(py, args)?, named: Some(named) });
    }
    let cut = || PyOSError::new_err("a manager was asked something that means nothing");
    let mut text = || PyString::from_bytes(py, take(&mut body).ok_or_else(cut)?).map(Bound::into_any);
    let (ident, method) = (text()?, text()?);
    let mut args = Vec::new();
    while let Some((&kind, rest)) = body.split_first() {
        body = rest;
        args.push(decode(py, kind, take(&mut body).ok_or_else(cut)?)?);
    }
    Ok(Request { ident, method, args: PyTuple::new(py, args)?, named: None })
}

/// One side's end, and whether it is still of use.
struct Station {
    end: End,
    /// A message that went over the socket got stuck half way.
    is_broken: bool,
}

impl Station {
    fn new(memory: &Memory, socket: OwnedFd, side: Side) -> PyResult<Self> {
        Ok(Self { end: End::new(memory, socket, side)?, is_broken: false })
    }

    /// Waits for a message, reads it and returns its kind. A signal ends the wait if Python's handler raises something: the message is
    /// then left to the next call.
    fn receive(&mut self, py: Python<'_>, body: &mut Vec<u8>) -> PyResult<u8> {
        let end = &mut self.end;
        let arrival = persist(py, Signals::AtOnce, || match end.wait() {
            Ok(arrival) => Ok(Some(Ok(arrival))),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Some(Err(()))),
            Err(error) => Err(error),
        })?;
        let arrival = arrival.map_err(|()| PyEOFError::new_err(()))?;
        if arrival.is_elsewhere {
            body.clear();
            fill(py, self.end.socket(), Signals::Later, body, arrival.len)
                .inspect_err(|_| self.is_broken = true)?;
        } else {
            self.end.copy(arrival, body);
        }
        Ok(arrival.kind)
    }

    fn send(&mut self, py: Python<'_>, kind: u8, body: &[u8]) -> PyResult<()> {
        if !self.end.post(kind, body)? {
            write_all(py, self.end.socket(), Signals::Later, [body, &[]])
                .inspect_err(|_| self.is_broken = true)?;
        }
        Ok(())
    }
}

/// Where a caller stands.
enum Line {
    /// The memory has been made, and not been offered to anybody yet.
    New(Memory),
    Free(Box<Station>),
    /// A thread uses it.
    Busy,
    Closed,
}

/// A proxy's end of a connection to a manager.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct RemoteCaller(Mutex<Line>);

impl RemoteCaller {
    fn swap(&self, line: Line) -> Line {
        std::mem::replace(&mut *self.0.lock().expect("nothing panics here"), line)
    }

    /// Does something with the station, which nobody else can use meanwhile.
    fn with<R>(&self, work: impl FnOnce(&mut Station) -> PyResult<R>) -> PyResult<R> {
        let mut station = match self.swap(Line::Busy) {
            Line::Free(station) => station,
            other => {
                let message = match other {
                    Line::Busy => {
                        "this connection to a manager is in use, by another thread or by what a signal has interrupted"
                    }
                    _ => "handle is closed",
                };
                self.swap(other);
                return Err(PyOSError::new_err(message));
            }
        };
        let result = work(&mut station);
        let mut line = self.0.lock().expect("nothing panics here");
        // It may have been closed meanwhile.
        if matches!(*line, Line::Busy) {
            *line = if station.is_broken { Line::Closed } else { Line::Free(station) };
        }
        result
    }
}

#[pymethods]
impl RemoteCaller {
    /// Makes the memory that calls are to go through.
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Self(Mutex::new(Line::New(rpc::memory()?))))
    }

    /// Sends an object through the socket `fd`, and the memory along with it.
    #[pyo3(signature = (fd, thing, /))]
    fn offer(&self, fd: i32, thing: &Bound<'_, PyAny>) -> PyResult<()> {
        let body = pickled(thing)?;
        let body = body.as_bytes();
        let Ok(len) = i32::try_from(body.len()) else { return Err(PyTypeError::new_err("too long")) };
        let fd = borrow_fd(fd)?;
        match &*self.0.lock().expect("nothing panics here") {
            Line::New(memory) => socket::send(fd, &len.to_be_bytes(), &[memory.fd()])?,
            _ => return Err(PyOSError::new_err("this has been offered before")),
        }
        write_all(thing.py(), fd, Signals::AtOnce, [body, &[]])
    }

    /// From now on, calls go through the memory. Takes the socket over.
    #[pyo3(signature = (fd, /))]
    fn connect(&self, fd: i32) -> PyResult<()> {
        let Line::New(memory) = self.swap(Line::Closed) else {
            return Err(PyOSError::new_err("this is connected already"));
        };
        let station = Station::new(&memory, take_fd(fd), Side::Caller)?;
        self.swap(Line::Free(Box::new(station)));
        Ok(())
    }

    /// Sends a request: `(ident, method, args, named)`.
    #[pyo3(signature = (request, /))]
    fn send(&self, request: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = request.py();
        let mut body = Vec::with_capacity(128);
        let kind = if request.len() == 4 && write_plain(request, &mut body).is_some() {
            PLAIN
        } else {
            body.clear();
            body.extend_from_slice(pickled(request)?.as_bytes());
            PICKLED
        };
        self.with(|station| {
            let mut lost = Vec::new();
            // A request whose answer nobody has waited for to the end, as a signal came between.
            while station.end.owed() > 0 {
                station.receive(py, &mut lost)?;
            }
            station.send(py, kind, &body)
        })
    }

    /// Waits for the answer: `(kind, result)`.
    fn recv<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let mut body = Vec::new();
        let kind = self.with(|station| {
            if station.end.owed() == 0 {
                return Err(PyOSError::new_err("nothing was asked"));
            }
            station.receive(py, &mut body)
        })?;
        match kind.checked_sub(RETURNED) {
            Some(kind) => Ok((names(py).returned.bind(py).clone().into_any(), decode(py, kind, &body)?)),
            None => unpickled(py, &body)?.extract(),
        }
    }

    /// Closes the connection.
    fn close(&self) {
        self.swap(Line::Closed);
    }
}

/// A manager's end of a connection to a proxy.
#[pyclass(frozen, module = "raddle._raddle")]
pub(crate) struct RemoteCallee(Mutex<Option<Memory>>);

/// Receives an object through the socket `fd`, and what is needed to answer calls if they were [offered](RemoteCaller::offer) with it.
#[pyfunction]
#[pyo3(signature = (fd, /))]
pub(crate) fn receive_offer(py: Python<'_>, fd: i32) -> PyResult<(Bound<'_, PyAny>, Option<RemoteCallee>)> {
    let fd = borrow_fd(fd)?;
    let mut header = [0; 4];
    let (len, fds) = persist(py, Signals::AtOnce, || socket::receive(fd, &mut header).map(Some))?;
    if len == 0 {
        return Err(PyEOFError::new_err(()));
    }
    let mut buffer = header[..len].to_vec();
    let thing = receive_rest(py, fd, &mut buffer)?;
    let callee = fds.into_iter().next().and_then(|fd| Memory::from_fd(fd).ok());
    Ok((thing, callee.map(|memory| RemoteCallee(Mutex::new(Some(memory))))))
}

#[pymethods]
impl RemoteCallee {
    /// Answers calls until the other side is gone. Takes the socket `fd` over.
    ///
    /// `objects` has `(object, exposed, types)` for each number. Whatever else is asked is `answer(ident, method, args, named)`'s to
    /// answer, which returns a message. `is_over()` says when to end. `unreadable(error)` and `unserializable(error)` make messages of what
    /// went wrong with a request, or with an answer.
    #[pyo3(signature = (fd, objects, is_over, answer, unreadable, unserializable, /))]
    fn serve(
        &self,
        fd: i32,
        objects: &Bound<'_, PyDict>,
        is_over: &Bound<'_, PyAny>,
        answer: &Bound<'_, PyAny>,
        unreadable: &Bound<'_, PyAny>,
        unserializable: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = objects.py();
        let socket = take_fd(fd);
        let memory = self.0.lock().expect("nothing panics here").take();
        let memory = memory.ok_or_else(|| PyOSError::new_err("this is served already"))?;
        let mut station = Station::new(&memory, socket, Side::Callee)?;
        drop(memory);
        let mut body = Vec::new();
        while !ffi::invoke(is_over, ())?.is_truthy()? {
            let kind = station.receive(py, &mut body)?;
            let message = match read(py, kind, &body) {
                Ok(request) => match Outcome::of(&request, objects)? {
                    Outcome::Returned(value) => {
                        if let Some(plain) = plain(&value) {
                            station.send(py, RETURNED + plain.kind(), plain.body())?;
                            continue;
                        }
                        (names(py).returned.bind(py), value).into_pyobject(py)?.into_any()
                    }
                    Outcome::Raised(error) => {
                        (names(py).raised.bind(py), error).into_pyobject(py)?.into_any()
                    }
                    Outcome::Unusual => {
                        let Request { ident, method, args, named } = request;
                        let named = named.unwrap_or_else(|| PyDict::new(py));
                        ffi::invoke(answer, (ident, method, args, named))?
                    }
                },
                Err(error) => ffi::invoke(unreadable, (ordinary(py, error)?,))?,
            };
            let pickle = pickled(&message).or_else(|error| {
                let message = ffi::invoke(unserializable, (ordinary(py, error)?,))?;
                pickled(&message)
            })?;
            drop(message);
            station.send(py, MESSAGE, pickle.as_bytes())?;
            if body.capacity() > KEPT {
                body = Vec::new();
            }
        }
        Ok(())
    }
}

/// The exception, if it is one that a manager tells its caller; else it is raised.
fn ordinary(py: Python<'_>, error: PyErr) -> PyResult<Bound<'_, PyAny>> {
    if error.is_instance_of::<PyException>(py) {
        Ok(error.into_value(py).into_bound(py).into_any())
    } else {
        Err(error)
    }
}

/// What has come of a request.
enum Outcome<'py> {
    Returned(Bound<'py, PyAny>),
    Raised(Bound<'py, PyAny>),
    /// Nothing has been called: there is no such object, it has no such method, or what the method returns is to stay here.
    Unusual,
}

impl<'py> Outcome<'py> {
    fn of(request: &Request<'py>, objects: &Bound<'py, PyDict>) -> PyResult<Self> {
        let py = objects.py();
        let Some(entry) = objects.get_item(&request.ident)? else { return Ok(Self::Unusual) };
        let Ok(entry) = entry.cast_into::<PyTuple>() else { return Ok(Self::Unusual) };
        let Ok((object, exposed, types)) =
            entry.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>)>()
        else {
            return Ok(Self::Unusual);
        };
        let stays = types.is_truthy()? && types.contains(&request.method)?;
        let Ok(method) = request.method.cast::<PyString>() else { return Ok(Self::Unusual) };
        if stays || !exposed.contains(method)? {
            return Ok(Self::Unusual);
        }
        let Ok(function) = object.getattr(method) else { return Ok(Self::Unusual) };
        match ffi::invoke_with(&function, &request.args, request.named.as_ref()) {
            Ok(value) => Ok(Self::Returned(value)),
            Err(error) => ordinary(py, error).map(Self::Raised),
        }
    }
}
