//! The unsafe corner: what the binding library has no safe call for.
#![allow(unsafe_code, reason = "calls into CPython's C interface; each block carries its argument")]

pub(crate) mod buffer;
mod guarded;
mod once_box;
pub(crate) mod short_cut;

pub(crate) use guarded::Guarded;
pub(crate) use once_box::OnceBox;

use pyo3::exceptions::PyBaseException;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyString, PyTuple, PyType};

unsafe extern "C-unwind" {
    fn PyObject_Call(
        callable: *mut ffi::PyObject,
        args: *mut ffi::PyObject,
        kwargs: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
    fn PyIter_Next(iterator: *mut ffi::PyObject) -> *mut ffi::PyObject;
    fn PyObject_RichCompareBool(one: *mut ffi::PyObject, other: *mut ffi::PyObject, operator: i32) -> i32;
    #[cfg(not(Py_3_13))]
    fn _Py_IsFinalizing() -> i32;
    /// Takes arguments up to a null pointer.
    fn PyObject_CallFunctionObjArgs(callable: *mut ffi::PyObject, ...) -> *mut ffi::PyObject;
}

/// Keeps a dying thread from unwinding Raddle's frames.
///
/// Up to `CPython` 3.13 a daemon thread that asks for the interpreter during finalization is ended by `pthread_exit`,
/// which unwinds the stack: the Rust frames above would turn that into an abort of the whole process. From 3.14 on
/// `CPython` lets such threads hang instead; this does the same for the older ones. The process is ending anyway.
///
/// So the user's code, and Raddle's own Python code that may wait, is called through this module; the binding library guards
/// the calls that attach and detach in the same way. What is left are destructors that run while Raddle drops a reference.
struct HangOnUnwind;

impl Drop for HangOnUnwind {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

type CallObject = unsafe extern "C-unwind" fn(
    *mut ffi::PyObject,
    *mut ffi::PyObject,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;
type CallVariadic = unsafe extern "C-unwind" fn(*mut ffi::PyObject, ...) -> *mut ffi::PyObject;
type IterNext = unsafe extern "C-unwind" fn(*mut ffi::PyObject) -> *mut ffi::PyObject;

/// A function that the optimiser can't look through: the binding library declares some of these as ones that never
/// unwind, and wherever the linker merges the two declarations, [`HangOnUnwind`] would be dropped as dead code.
fn opaque<F>(function: F) -> F {
    std::hint::black_box(function)
}

fn guarded(call: impl FnOnce() -> *mut ffi::PyObject) -> *mut ffi::PyObject {
    raddle_sync::assert_unlocked();
    let guard = HangOnUnwind;
    let result = call();
    std::mem::forget(guard);
    result
}

/// Whether the calling thread has the interpreter. In a program that has made sub-interpreters, the answer may be yes when it has not.
pub(crate) fn is_attached() -> bool {
    // SAFETY: may be called from any thread at any time, before and after the interpreter's life too.
    unsafe { ffi::PyGILState_Check() == 1 }
}

/// How a call ended.
pub(crate) type CallResult = Result<Py<PyAny>, Py<PyBaseException>>;

fn outcome(py: Python<'_>, result: *mut ffi::PyObject) -> CallResult {
    // SAFETY: the C interface returns a new reference, or null with an exception set.
    match unsafe { Bound::from_owned_ptr_or_err(py, result) } {
        Ok(value) => Ok(value.unbind()),
        Err(error) => Err(error.into_value(py)),
    }
}

/// `callable(*args, **kwargs)`, for code of the user's that may run for long.
pub(crate) fn call(
    callable: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> CallResult {
    let kwargs = kwargs.map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: all three are live objects of the right types (or null for kwargs), and the thread is attached.
    let call = || unsafe { opaque::<CallObject>(PyObject_Call)(callable.as_ptr(), args.as_ptr(), kwargs) };
    outcome(callable.py(), guarded(call))
}

/// `callable(arg)`, likewise.
pub(crate) fn call_one(callable: &Bound<'_, PyAny>, arg: &Bound<'_, PyAny>) -> CallResult {
    let end = std::ptr::null_mut::<ffi::PyObject>();
    // SAFETY: both are live objects, the arguments end with null, and the thread is attached.
    let call = || unsafe {
        opaque::<CallVariadic>(PyObject_CallFunctionObjArgs)(callable.as_ptr(), arg.as_ptr(), end)
    };
    outcome(callable.py(), guarded(call))
}

/// `callable(*args)` as a `PyResult`, for Raddle's own Python code.
pub(crate) fn invoke<'py, A>(callable: &Bound<'py, PyAny>, args: A) -> PyResult<Bound<'py, PyAny>>
where
    A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>>,
    PyErr: From<A::Error>,
{
    invoke_with(callable, &args.into_pyobject(callable.py())?, None)
}

/// `callable(*args, **kwargs)` as a `PyResult`.
pub(crate) fn invoke_with<'py>(
    callable: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = callable.py();
    match call(callable, args, kwargs) {
        Ok(value) => Ok(value.into_bound(py)),
        Err(exception) => Err(PyErr::from_value(exception.into_bound(py).into_any())),
    }
}

/// The iterator's next item, or None at its end.
pub(crate) fn next<'py>(iterator: &Bound<'py, PyIterator>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = iterator.py();
    // SAFETY: a live iterator, and the thread is attached; a new reference, or null at the end or with an exception set.
    let item = guarded(|| unsafe { opaque::<IterNext>(PyIter_Next)(iterator.as_ptr()) });
    // SAFETY: as above.
    match unsafe { Bound::from_owned_ptr_or_opt(py, item) } {
        Some(item) => Ok(Some(item)),
        None => PyErr::take(py).map_or(Ok(None), Err),
    }
}

/// A copy of the calling thread's current context (`contextvars.copy_context()`).
pub(crate) fn copy_current_context(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: returns a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
}

/// A context without variables.
pub(crate) fn new_context(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: returns a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_New()) }
}

/// A copy of a context.
pub(crate) fn copy_context<'py>(context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: checks the type itself; returns a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(context.py(), ffi::PyContext_Copy(context.as_ptr())) }
}

/// Runs `body` inside `context`.
pub(crate) fn in_context<R>(context: &Bound<'_, PyAny>, body: impl FnOnce() -> R) -> PyResult<R> {
    let py = context.py();
    // SAFETY: checks the type itself; the thread is attached.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } < 0 {
        return Err(PyErr::fetch(py));
    }
    let result = body();
    // SAFETY: entered above, and `body` leaves the contexts that it enters.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } < 0 {
        return Err(PyErr::fetch(py));
    }
    Ok(result)
}

/// Makes an instance of a class by its native constructor alone, past `__init__` and the metaclass: a tenth of the time
/// of calling the class.
pub(crate) struct Constructor {
    class: Py<PyType>,
    construct: ffi::newfunc,
    no_args: Py<PyTuple>,
}

impl Constructor {
    /// For a class whose `__new__` is native and takes no arguments.
    pub(crate) fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        // SAFETY: the class is a heap type, for which any slot may be asked.
        let slot = unsafe { ffi::PyType_GetSlot(class.as_type_ptr(), ffi::Py_tp_new) };
        if slot.is_null() {
            return Err(PyErr::fetch(class.py()));
        }
        // SAFETY: Py_tp_new holds a `newfunc`.
        let construct = unsafe { std::mem::transmute::<*mut std::ffi::c_void, ffi::newfunc>(slot) };
        Ok(Self { class: class.clone().unbind(), construct, no_args: PyTuple::empty(class.py()).unbind() })
    }

    pub(crate) fn make<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.bind(py).as_type_ptr();
        // SAFETY: the class's own constructor with the arguments it expects; a new reference, or null with an error.
        unsafe {
            let instance = (self.construct)(class, self.no_args.as_ptr(), std::ptr::null_mut());
            Bound::from_owned_ptr_or_err(py, instance)
        }
    }
}

/// Whether the interpreter is being finalized: `sys.is_finalizing()`, but it can't fail.
pub(crate) fn is_finalizing(_py: Python<'_>) -> bool {
    #[cfg(Py_3_13)]
    use ffi::Py_IsFinalizing as ask;
    // The same function by the name that it had before.
    #[cfg(not(Py_3_13))]
    use _Py_IsFinalizing as ask;
    // SAFETY: takes nothing, and looks at one variable.
    unsafe { ask() != 0 }
}

/// Sets or deletes an attribute as `object` does.
pub(crate) fn set_attribute(
    object: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let value = value.map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: live objects, the name a string; a null value deletes.
    match unsafe { ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value) } {
        0 => Ok(()),
        _ => Err(PyErr::fetch(object.py())),
    }
}

/// Takes an object out of the garbage collector's sight, as `CPython` does with tuples of atoms: see [`track`].
pub(crate) fn untrack(object: &Bound<'_, PyAny>) {
    // SAFETY: called with instances of garbage-collected classes only, by their maker, before anybody else has them.
    unsafe { ffi::PyObject_GC_UnTrack(object.as_ptr().cast()) };
}

/// Puts it back into sight. To be called once for each [`untrack`].
pub(crate) fn track(object: &Bound<'_, PyAny>) {
    // SAFETY: a fully made instance of a garbage-collected class that is not tracked: the caller sees to it.
    unsafe { ffi::PyObject_GC_Track(object.as_ptr().cast()) };
}

/// Whether an object refers to others as far as the garbage collector is concerned. (Not whether the collector looks at it
/// now: a dictionary of numbers is out of its sight until it holds something else.)
pub(crate) fn may_be_in_a_cycle(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the type of a live object.
    unsafe { ffi::PyType_HasFeature(ffi::Py_TYPE(object.as_ptr()), ffi::Py_TPFLAGS_HAVE_GC) != 0 }
}

/// The code object of a Python function, which names it without keeping its closure alive; None for other callables.
pub(crate) fn code_of<'py>(callable: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    // SAFETY: checked to be a function, whose code is a borrowed reference.
    unsafe {
        if ffi::PyFunction_Check(callable.as_ptr()) == 0 {
            return None;
        }
        let code = ffi::PyFunction_GetCode(callable.as_ptr());
        Bound::from_borrowed_ptr_or_opt(callable.py(), code)
    }
}

/// Raises `class` in the thread with this identity at its next bytecode; None withdraws what has not been raised yet.
pub(crate) fn set_async_exception(_py: Python<'_>, thread: u64, class: Option<&Bound<'_, PyType>>) {
    let class = class.map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: the thread is attached; an identity of no thread is ignored, a null class clears.
    unsafe { ffi::PyThreadState_SetAsyncExc(thread.cast_signed(), class) };
}

/// Calls `f`, which runs no Python code of its own accord, while the collector does not run either, which would.
///
/// From 3.12 on that runs between two bytecodes only; before, wherever an object is made.
pub(crate) fn without_collector<R>(_py: Python<'_>, f: impl FnOnce() -> R) -> R {
    // SAFETY: the thread is attached, and stays so until the collector is on again: nobody else sees it off.
    let was_on = cfg!(not(Py_3_12)) && unsafe { ffi::PyGC_Disable() } == 1;
    let result = f();
    if was_on {
        // SAFETY: as above.
        unsafe { ffi::PyGC_Enable() };
    }
    result
}

/// The signal of Ctrl-C, the same number on every Unix.
pub(crate) const SIGINT: i32 = 2;

/// Lets the signal handler run again later: a signal that was turned into an exception at a place that can't raise.
pub(crate) fn trip_signal(signal: i32) {
    // SAFETY: may be called at any time, even without the interpreter.
    unsafe { ffi::PyErr_SetInterruptEx(signal) };
}

/// Raises `error` in the main thread, as soon as that runs Python code. For what a signal handler has raised at a place that
/// can't raise.
pub(crate) fn raise_in_main_thread(py: Python<'_>, error: PyErr) {
    extern "C" fn raise(value: *mut std::ffi::c_void) -> std::ffi::c_int {
        Python::attach(|py| {
            // SAFETY: the reference that was given away below, taken back once; the interpreter calls this.
            let value = unsafe { Bound::from_owned_ptr(py, value.cast()) };
            PyErr::from_value(value).restore(py);
        });
        -1
    }
    let value = error.into_value(py).into_ptr();
    // SAFETY: may be called at any time; `raise` owns its argument once this has succeeded.
    if unsafe { ffi::Py_AddPendingCall(Some(raise), value.cast()) } != 0 {
        // SAFETY: the reference that `into_ptr` gave away, taken back.
        let value = unsafe { Bound::from_owned_ptr(py, value) };
        PyErr::from_value(value).write_unraisable(py, None);
    }
}

/// A reference that is set at most once: one pointer, and setting it costs one instruction, where a `OnceLock` goes
/// through its slow path each time.
#[derive(Default)]
pub(crate) struct OnceRef(std::sync::atomic::AtomicPtr<ffi::PyObject>);

impl OnceRef {
    /// Sets it unless it is set already, and returns whether it did.
    pub(crate) fn set(&self, value: Py<PyAny>) -> bool {
        use std::sync::atomic::Ordering;
        let pointer = value.into_ptr();
        let set = self
            .0
            .compare_exchange(std::ptr::null_mut(), pointer, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if !set {
            // SAFETY: the reference that `into_ptr` gave away, taken back.
            drop(unsafe { std::mem::transmute::<*mut ffi::PyObject, Py<PyAny>>(pointer) });
        }
        set
    }

    /// The reference, without taking another one.
    pub(crate) fn peek(&self) -> Option<&Py<PyAny>> {
        let pointer = self.0.load(std::sync::atomic::Ordering::Acquire);
        if pointer.is_null() {
            return None;
        }
        // SAFETY: `Py` is transparent over a non-null pointer; once set, it never changes before the drop.
        Some(unsafe { &*self.0.as_ptr().cast::<Py<PyAny>>() })
    }

    pub(crate) fn get<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.peek().map(|value| value.bind(py).clone())
    }
}

impl Drop for OnceRef {
    fn drop(&mut self) {
        let pointer = *self.0.get_mut();
        if !pointer.is_null() {
            // SAFETY: the reference that `set` stored, taken back.
            drop(unsafe { std::mem::transmute::<*mut ffi::PyObject, Py<PyAny>>(pointer) });
        }
    }
}

/// Where the innermost Python frame of the calling thread stands: its code object, and its line.
pub(crate) fn current_place(py: Python<'_>) -> Option<(Py<PyAny>, i32)> {
    // SAFETY: the frame is borrowed from the attached thread, which doesn't leave it during this call; its code is a new
    // reference and never null.
    unsafe {
        let frame = ffi::PyEval_GetFrame();
        if frame.is_null() {
            return None;
        }
        let code = Bound::from_owned_ptr(py, ffi::PyFrame_GetCode(frame).cast());
        Some((code.unbind(), ffi::PyFrame_GetLineNumber(frame)))
    }
}

type RichCompareBool = unsafe extern "C-unwind" fn(*mut ffi::PyObject, *mut ffi::PyObject, i32) -> i32;

/// `one < other`, by code of the user's. Raises what that raises.
pub(crate) fn less(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
    raddle_sync::assert_unlocked();
    let guard = HangOnUnwind;
    // SAFETY: live objects, and the thread is attached.
    let answer = unsafe {
        opaque::<RichCompareBool>(PyObject_RichCompareBool)(one.as_ptr(), other.as_ptr(), ffi::Py_LT)
    };
    std::mem::forget(guard);
    if answer < 0 { Err(PyErr::fetch(one.py())) } else { Ok(answer != 0) }
}

/// The value of an `int` (and of no subclass), if 64 bits hold it.
#[inline]
pub(crate) fn small_int(object: &Bound<'_, PyAny>) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: the caller has checked the type, so this runs nothing and can't fail.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &raw mut overflow) };
    (overflow == 0).then_some(value)
}

/// How two strings compare; None when that fails.
pub(crate) fn compare_strings(
    one: &Bound<'_, PyString>,
    other: &Bound<'_, PyString>,
) -> Option<std::cmp::Ordering> {
    // SAFETY: live strings.
    let order = unsafe { ffi::PyUnicode_Compare(one.as_ptr(), other.as_ptr()) };
    if order == -1 && PyErr::take(one.py()).is_some() {
        return None;
    }
    Some(order.cmp(&0))
}

/// Whether the callable is one whose identity says all about it: a Python function, a class, or a function of a native module.
/// (Of a bound method there is a new one each time, and what it is bound to changes.)
pub(crate) fn is_constant_callable(callable: &Bound<'_, PyAny>) -> bool {
    let pointer = callable.as_ptr();
    // SAFETY: a live object; the second look is at a builtin function, whose self is borrowed and may be null.
    unsafe {
        if ffi::PyFunction_Check(pointer) != 0 || ffi::PyType_Check(pointer) != 0 {
            return true;
        }
        if ffi::PyCFunction_CheckExact(pointer) == 0 {
            return false;
        }
        let owner = ffi::PyCFunction_GetSelf(pointer);
        owner.is_null() || ffi::PyModule_Check(owner) != 0
    }
}

/// Whether the object is what a coroutine function returns.
pub(crate) fn is_coroutine(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a live object, whose type is compared.
    unsafe { ffi::PyCoro_CheckExact(object.as_ptr()) != 0 }
}

/// Takes over a file descriptor that Python code hands in.
pub(crate) fn take_fd(fd: i32) -> std::os::fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the caller's word that it is open and nobody else closes it.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) }
}

/// Another descriptor of the file that Python code has open under this one.
pub(crate) fn duplicate_fd(fd: i32) -> std::io::Result<std::os::fd::OwnedFd> {
    // SAFETY: the caller's word that it is open for the length of this call.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()
}

/// Has the main thread handle an interrupt, as if Ctrl-C had been pressed.
pub(crate) fn interrupt() {
    // SAFETY: may be called at any time; it only marks the signal as arrived.
    unsafe { pyo3::ffi::PyErr_SetInterrupt() };
}

/// A descriptor that Python code keeps open for the length of the call.
pub(crate) fn borrow_fd<'a>(fd: i32) -> PyResult<std::os::fd::BorrowedFd<'a>> {
    if fd < 0 {
        return Err(pyo3::exceptions::PyValueError::new_err("a descriptor is not negative"));
    }
    // SAFETY: it is not -1, and the caller has it open. A connection that another thread closes meanwhile is the program's own
    // mistake, as with the stdlib: the system then reads another file, or says that there is none.
    Ok(unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) })
}
