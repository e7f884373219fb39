//! Pickles: the fast way in and out.
//!
//! Most calls are pickled by one call of the interpreter's own pickler. What that refuses, what may have large buffers, and
//! whatever mentions `__main__` or another module that a worker can't import goes through `raddle._internal.serialization`, which
//! knows how to send functions and classes by value, and how to say what can't be sent. Its module `plain` says what is to be
//! checked here.

use crate::ffi;
use crate::ffi::buffer::{Buffer, bytes_of, raw};
use crate::process::functions::Watched;
use crate::sent::of_the_pickle;
use memchr::memmem::Finder;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBaseException, PyException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use raddle_process::Corrupt;
use raddle_process::arena::View;
use raddle_process::parcel;
use raddle_sync::Mutex;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Buffers and byte strings of so many bytes go out of band, where they are copied once.
const LARGE: usize = 32 * 1024;

/// A container with more items than this is not looked through for large ones.
const FEW: usize = 16;

/// What pickles and unpickles. Made once by each process that needs it.
pub(crate) struct Codec {
    /// `_pickle.dumps(obj, protocol)`.
    dumps: Py<PyAny>,
    /// `_pickle.loads(data)`.
    loads: Py<PyAny>,
    /// The package `raddle._internal.serialization`.
    slow: Py<PyAny>,
    protocol: Py<PyAny>,
    outlook: Mutex<Arc<Outlook>>,
    /// Rises with each new outlook.
    outlooks: AtomicUsize,
}

/// What a pickle must not mention: `raddle._internal.serialization.modules.Outlook`.
#[derive(Default)]
struct Outlook {
    patterns: Vec<Finder<'static>>,
    /// It holds for as long as each of these has this length.
    watched: Vec<(Py<PyAny>, usize)>,
}

impl Outlook {
    fn holds(&self, py: Python<'_>) -> bool {
        let same = |(object, len): &(Py<PyAny>, usize)| object.bind(py).len().is_ok_and(|now| now == *len);
        !self.watched.is_empty() && self.watched.iter().all(same)
    }

    fn is_clear(&self, bytes: &[u8]) -> bool {
        self.patterns.iter().all(|pattern| pattern.find(bytes).is_none())
    }
}

/// A pickle, and what it has out of band.
pub(crate) struct Pickled<'py> {
    pub(crate) bytes: Bound<'py, PyBytes>,
    pub(crate) buffers: Vec<PyBuffer<u8>>,
}

impl Pickled<'_> {
    /// The bytes of each buffer, for as long as they are held.
    pub(crate) fn parts(&self) -> Vec<&[u8]> {
        self.buffers.iter().map(bytes_of).collect()
    }
}

/// What there is to a pickle, as a quick look at the object tells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Numbers and short strings.
    Light,
    /// Objects that may have buffers of their own.
    Unknown,
    /// A large byte string, which the interpreter's own pickler would copy.
    Heavy,
}

impl Codec {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let pickle = py.import("_pickle")?;
        Ok(Self {
            dumps: pickle.getattr("dumps")?.unbind(),
            loads: pickle.getattr("loads")?.unbind(),
            slow: py.import("raddle._internal.serialization")?.into_any().unbind(),
            protocol: PyInt::new(py, 5).into_any().unbind(),
            outlook: Mutex::default(),
            outlooks: AtomicUsize::new(0),
        })
    }

    /// Calls a function of `raddle._internal.serialization`.
    pub(crate) fn slow<'py, A>(&self, py: Python<'py>, name: &str, args: A) -> PyResult<Bound<'py, PyAny>>
    where
        A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>>,
        PyErr: From<A::Error>,
    {
        ffi::invoke(&self.slow.bind(py).getattr(name)?, args)
    }

    /// Pickles the arguments of a call, as a tuple of the positional ones and the dictionary of the others.
    pub(crate) fn dump_call<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Pickled<'py>> {
        let py = args.py();
        let both = (args, kwargs).into_pyobject(py)?;
        if let Some(bytes) = self.quickly(both.as_any())? {
            return Ok(Pickled { bytes, buffers: Vec::new() });
        }
        self.outlook(py)?;
        let buffers = PyList::empty(py);
        let kwargs = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
        Self::gather(&self.slow(py, "dump_call", (args, kwargs, &buffers))?, &buffers)
    }

    /// Pickles the items of a batch.
    pub(crate) fn dump_items<'py>(&self, items: &Bound<'py, PyList>) -> PyResult<Pickled<'py>> {
        let py = items.py();
        if let Some(bytes) = self.quickly(items.as_any())? {
            return Ok(Pickled { bytes, buffers: Vec::new() });
        }
        self.outlook(py)?;
        let buffers = PyList::empty(py);
        Self::gather(&self.slow(py, "dumps", (items, &buffers))?, &buffers)
    }

    /// Pickles what a call has returned.
    pub(crate) fn dump_result<'py>(&self, result: &Bound<'py, PyAny>) -> PyResult<Pickled<'py>> {
        let py = result.py();
        if let Some(bytes) = self.quickly(result)? {
            return Ok(Pickled { bytes, buffers: Vec::new() });
        }
        let buffers = PyList::empty(py);
        Self::gather(&self.slow(py, "dump_result", (result, &buffers))?, &buffers)
    }

    /// The pickle, if one call of the interpreter's pickler does it.
    fn quickly<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let py = object.py();
        if weigh(object, 3) != Weight::Light {
            return Ok(None);
        }
        match ffi::invoke(self.dumps.bind(py), (object, &self.protocol)) {
            Ok(bytes) => {
                let bytes = bytes.cast_into::<PyBytes>()?;
                Ok(self.outlook(py)?.is_clear(bytes.as_bytes()).then_some(bytes))
            }
            // The slow way says what is wrong, or does without.
            Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A number that changes when modules have been loaded since the last pickle was made, or the path to them has changed.
    pub(crate) fn outlooks(&self) -> usize {
        self.outlooks.load(Ordering::Relaxed)
    }

    /// Pickles a callable, and says what it has captured.
    pub(crate) fn dump_function<'py>(
        &self,
        function: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyBytes>, Option<Arc<Watched>>)> {
        let py = function.py();
        self.outlook(py)?;
        let watched = PyList::empty(py);
        let pickle = self.slow(py, "dump_function", (function, py.None(), &watched))?;
        Ok((pickle.cast_into::<PyBytes>()?, Watched::new(watched.as_any())?))
    }

    fn outlook(&self, py: Python<'_>) -> PyResult<Arc<Outlook>> {
        let last = Arc::clone(&self.outlook.lock());
        if last.holds(py) {
            return Ok(last);
        }
        let outlook = self.slow(py, "outlook", ())?;
        let patterns: Vec<Vec<u8>> = outlook.getattr("patterns")?.extract()?;
        let watched: Vec<Py<PyAny>> = outlook.getattr("watched")?.extract()?;
        let sizes: Vec<usize> = outlook.getattr("sizes")?.extract()?;
        let patterns = patterns.iter().map(|pattern| Finder::new(pattern).into_owned()).collect();
        let outlook = Arc::new(Outlook { patterns, watched: watched.into_iter().zip(sizes).collect() });
        self.outlooks.fetch_add(1, Ordering::Relaxed);
        let stale = std::mem::replace(&mut *self.outlook.lock(), Arc::clone(&outlook));
        drop(stale);
        Ok(outlook)
    }

    fn gather<'py>(bytes: &Bound<'py, PyAny>, buffers: &Bound<'py, PyList>) -> PyResult<Pickled<'py>> {
        let buffers = buffers.iter().map(|buffer| raw(&buffer)).collect::<PyResult<_>>()?;
        Ok(Pickled { bytes: bytes.cast::<PyBytes>()?.clone(), buffers })
    }

    /// Makes an object of a pickle and of what it has out of band.
    pub(crate) fn load<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
        parcel: Option<&Arc<View>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let loads = self.loads.bind(py);
        let Some(view) = parcel else {
            return ffi::invoke(loads, (PyBytes::new(py, data),));
        };
        let parts = parcel::parts(view).map_err(corrupt)?;
        let body = parcel::body(view, &parts).map_err(corrupt)?;
        let data = if body.is_empty() { data } else { &body };
        self.load_with(py, data, view, parts.get(1..).unwrap_or_default())
    }

    /// The exception that was pickled; something is found to be raised in any case. Raises what has kept the caller from finding out.
    pub(crate) fn load_error(
        &self,
        py: Python<'_>,
        data: &[u8],
        parcel: Option<&Arc<View>>,
    ) -> PyResult<Py<PyBaseException>> {
        let load = || -> PyResult<Bound<'_, PyAny>> {
            let body = match parcel {
                None => Vec::new(),
                Some(view) => {
                    parcel::parts(view).and_then(|parts| parcel::body(view, &parts)).map_err(corrupt)?
                }
            };
            let data = if body.is_empty() { data } else { &body };
            self.slow(py, "load_error", (PyBytes::new(py, data),))
        };
        match load().and_then(|loaded| Ok(loaded.cast_into::<PyBaseException>()?)) {
            Ok(exception) => Ok(exception.unbind()),
            Err(error) => Ok(of_the_pickle(py, error)?.into_value(py)),
        }
    }

    /// Makes an object of a pickle whose buffers stand in a view.
    pub(crate) fn load_with<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
        view: &Arc<View>,
        buffers: &[Range<usize>],
    ) -> PyResult<Bound<'py, PyAny>> {
        let buffer = |part: &Range<usize>| Bound::new(py, Buffer::new(Arc::clone(view), part.clone()));
        let buffers = buffers.iter().map(buffer).collect::<PyResult<Vec<_>>>()?;
        self.slow(py, "loads", (PyBytes::new(py, data), PyList::new(py, buffers)?))
    }
}

/// How heavy an object is, looking `depth` containers deep.
fn weigh(object: &Bound<'_, PyAny>, depth: u32) -> Weight {
    if object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyString>()
        || object.is_none()
        || ffi::is_constant_callable(object)
    {
        return Weight::Light;
    }
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return if bytes.as_bytes().len() < LARGE { Weight::Light } else { Weight::Heavy };
    }
    if depth == 0 {
        return Weight::Unknown;
    }
    let heaviest = |weights: &mut dyn Iterator<Item = Weight>| weights.max().unwrap_or(Weight::Light);
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        return heaviest(&mut tuple.iter_borrowed().take(FEW).map(|item| weigh(&item, depth - 1)));
    }
    if let Ok(list) = object.cast_exact::<PyList>() {
        return heaviest(&mut list.iter().take(FEW).map(|item| weigh(&item, depth - 1)));
    }
    if let Ok(dict) = object.cast_exact::<PyDict>() {
        return heaviest(&mut dict.iter().take(FEW).map(|(_, value)| weigh(&value, depth - 1)));
    }
    Weight::Unknown
}

pub(crate) fn corrupt(corrupt: Corrupt) -> PyErr {
    PyRuntimeError::new_err(format!("the other process is broken: {corrupt}"))
}
