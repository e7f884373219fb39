//! How an object becomes a message, and the reverse.
//!
//! What is made of numbers, texts and bytes alone is what most messages are. The simplest of it is sent as it is; a few of them
//! in tuples, lists and dictionaries are pickled by the plain pickler. Whatever else there may be, such as a connection, can need a
//! reducer that `multiprocessing` knows, so it takes the long way.

use super::names::names;
use crate::ffi;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// The kinds of messages.
const PICKLE: u8 = 0;
const NONE: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const INT: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const BYTES: u8 = 7;

/// How many objects are looked at before one is taken for complicated.
const LOOKS: u32 = 32;

/// What is to be sent.
pub(super) enum Encoded<'a, 'py> {
    /// A kind alone.
    Nothing(u8),
    Number(u8, [u8; 8]),
    Borrowed(u8, &'a [u8]),
    Pickled(Bound<'py, PyBytes>),
}

impl Encoded<'_, '_> {
    #[inline]
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Nothing(kind) | Self::Number(kind, _) | Self::Borrowed(kind, _) => *kind,
            Self::Pickled(_) => PICKLE,
        }
    }

    #[inline]
    pub(super) fn body(&self) -> &[u8] {
        match self {
            Self::Nothing(_) => &[],
            Self::Number(_, bytes) => bytes,
            Self::Borrowed(_, bytes) => bytes,
            Self::Pickled(bytes) => bytes.as_bytes(),
        }
    }
}

/// Whether it is made of a few plain objects.
fn is_plain(object: &Bound<'_, PyAny>, looks: &mut u32) -> bool {
    if *looks == 0 {
        return false;
    }
    *looks -= 1;
    if object.is_none()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyBytes>()
    {
        true
    } else if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        tuple.iter_borrowed().all(|item| is_plain(&item, looks))
    } else if let Ok(list) = object.cast_exact::<PyList>() {
        list.len() <= LOOKS as usize && list.iter().all(|item| is_plain(&item, looks))
    } else if let Ok(dict) = object.cast_exact::<PyDict>() {
        dict.len() <= LOOKS as usize
            && dict.iter().all(|(key, value)| is_plain(&key, looks) && is_plain(&value, looks))
    } else {
        false
    }
}

/// What `object` is sent as. Raises what pickling raises.
#[inline]
pub(super) fn encode<'a, 'py>(object: &'a Bound<'py, PyAny>) -> PyResult<Encoded<'a, 'py>> {
    plain(object).map_or_else(|| pickled(object).map(Encoded::Pickled), Ok)
}

/// What `object` is sent as, if it is so simple that it need not be pickled.
#[inline]
pub(super) fn plain<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<Encoded<'a, 'py>> {
    if object.is_none() {
        return Some(Encoded::Nothing(NONE));
    }
    if object.is_exact_instance_of::<PyInt>() {
        return ffi::small_int(object).map(|number| Encoded::Number(INT, number.to_ne_bytes()));
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        // Some texts are not valid Unicode.
        return text.to_str().ok().map(|text| Encoded::Borrowed(TEXT, text.as_bytes()));
    }
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return Some(Encoded::Borrowed(BYTES, bytes.as_bytes()));
    }
    if let Ok(number) = object.cast_exact::<PyFloat>() {
        return Some(Encoded::Number(FLOAT, number.value().to_ne_bytes()));
    }
    let truth = object.cast_exact::<PyBool>().ok()?;
    Some(Encoded::Nothing(if truth.is_true() { TRUE } else { FALSE }))
}

/// The object, pickled. Raises what that raises.
pub(super) fn pickled<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let names = names(object.py());
    let pickle = if is_plain(object, &mut LOOKS.clone()) { &names.dumps } else { &names.dump };
    Ok(ffi::invoke(pickle.bind(object.py()), (object,))?.cast_into()?)
}

/// The object that was pickled. Raises what unpickling raises.
pub(super) fn unpickled<'py>(py: Python<'py>, pickle: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    ffi::invoke(names(py).loads.bind(py), (PyBytes::new(py, pickle),))
}

/// What a message brought. Raises what unpickling raises.
#[inline]
pub(super) fn decode<'py>(py: Python<'py>, kind: u8, body: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let number = || body.try_into().map_err(|_| nonsense());
    match kind {
        PICKLE => unpickled(py, body),
        NONE => Ok(py.None().into_bound(py)),
        FALSE => Ok(PyBool::new(py, false).to_owned().into_any()),
        TRUE => Ok(PyBool::new(py, true).to_owned().into_any()),
        INT => Ok(i64::from_ne_bytes(number()?).into_pyobject(py)?.into_any()),
        FLOAT => Ok(PyFloat::new(py, f64::from_ne_bytes(number()?)).into_any()),
        TEXT => Ok(PyString::from_bytes(py, body)?.into_any()),
        BYTES => Ok(PyBytes::new(py, body).into_any()),
        _ => Err(nonsense()),
    }
}

fn nonsense() -> PyErr {
    PyRuntimeError::new_err("another process has sent a message that means nothing")
}
