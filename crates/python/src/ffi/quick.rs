//! Methods with the least that can lie between the interpreter and a queue.
//!
//! What the binding library does for each call (it counts attachments, reads keyword arguments, converts results) takes longer
//! than putting an item. So the plainest form of a call, `put(item)` or `get()`, is served here, and everything else by the
//! method as the binding library made it, in front of which these are put.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::{Borrowed, PyClass};
use std::ffi::{CStr, CString};
use std::sync::OnceLock;

/// A class with a quick `put` and a quick `get`.
pub(crate) trait Quick: PyClass<Frozen = True> + Sync {
    /// Puts the item; gives it back when that takes more.
    fn quick_put(&self, py: Python<'_>, item: Py<PyAny>) -> Result<(), Py<PyAny>>;

    /// Takes an item if that takes no more.
    fn quick_get(&self, py: Python<'_>) -> Option<Py<PyAny>>;

    /// Where the methods stand that these are put in front of.
    fn thorough() -> &'static Thorough;
}

/// The methods of a class as the binding library made them.
pub(crate) struct Thorough {
    put: OnceLock<Py<PyAny>>,
    get: OnceLock<Py<PyAny>>,
}

impl Thorough {
    pub(crate) const fn new() -> Self {
        Self { put: OnceLock::new(), get: OnceLock::new() }
    }
}

/// More positional arguments than any of the methods takes, with the object itself.
const MOST: usize = 8;

unsafe extern "C" fn put<Q: Quick>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this attached, with an instance of the class, and with `count` positional arguments.
    unsafe {
        let py = Python::assume_attached();
        if count == 1 && keywords.is_null() {
            let queue = Borrowed::from_ptr(py, slf).cast_unchecked::<Q>();
            let item = Bound::from_borrowed_ptr(py, *args).unbind();
            match queue.get().quick_put(py, item) {
                Ok(()) => return py.None().into_ptr(),
                // The caller has another reference.
                Err(item) => ffi::Py_DECREF(item.into_ptr()),
            }
        }
        pass_on(Q::thorough().put.get(), slf, args, count, keywords)
    }
}

unsafe extern "C" fn get<Q: Quick>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as for `put`.
    unsafe {
        let py = Python::assume_attached();
        if count == 0 && keywords.is_null() {
            let queue = Borrowed::from_ptr(py, slf).cast_unchecked::<Q>();
            if let Some(item) = queue.get().quick_get(py) {
                return item.into_ptr();
            }
        }
        pass_on(Q::thorough().get.get(), slf, args, count, keywords)
    }
}

/// Calls the thorough method with the same arguments.
#[cold]
unsafe fn pass_on(
    method: Option<&Py<PyAny>>,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the arguments are those of a vectorcall: `count` of them and a value for each of the keywords, which follow.
    unsafe {
        let named = if keywords.is_null() { 0 } else { ffi::PyTuple_Size(keywords) };
        let all = usize::try_from(count + named).unwrap_or(usize::MAX);
        let mut forwarded = [slf; MOST];
        let (Some(method), Some(room)) = (method, forwarded.get_mut(1..=all)) else {
            ffi::PyErr_SetString(ffi::PyExc_TypeError, c"too many arguments".as_ptr());
            return std::ptr::null_mut();
        };
        if all > 0 {
            room.copy_from_slice(std::slice::from_raw_parts(args, all));
        }
        let count = usize::try_from(count).unwrap_or(0) + 1;
        ffi::PyObject_Vectorcall(method.as_ptr(), forwarded.as_ptr(), count, keywords)
    }
}

type Function = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// Puts the quick methods of a class in front of its thorough ones, whose signatures and docstrings they show.
pub(crate) fn install<Q: Quick>(py: Python<'_>) -> PyResult<()> {
    let thorough = Q::thorough();
    front::<Q>(py, c"put", put::<Q>, &thorough.put)?;
    front::<Q>(py, c"get", get::<Q>, &thorough.get)
}

fn front<Q: Quick>(
    py: Python<'_>,
    name: &'static CStr,
    function: Function,
    place: &OnceLock<Py<PyAny>>,
) -> PyResult<()> {
    let class = py.get_type::<Q>();
    let text = name.to_string_lossy();
    let method = class.getattr(&*text)?;
    let signature: String = method.getattr("__text_signature__")?.extract()?;
    let doc: String = method.getattr("__doc__")?.extract()?;
    let doc = CString::new(format!("{text}{signature}\n--\n\n{doc}"))?;
    let definition = ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: function },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.into_raw(),
    };
    if place.set(method.unbind()).is_err() {
        return Ok(());
    }
    // SAFETY: the definition lives as long as the process, as does the docstring; a new reference, or null with an error.
    let quick = unsafe {
        let definition = Box::into_raw(Box::new(definition));
        Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), definition))?
    };
    class.setattr(&*text, quick)
}
