//! A short way through a method, for calls so quick that the binding library's care would be a third of their cost.
//!
//! A method is called without arguments as a rule, takes one atomic operation, and returns `None` or `True`. Before it, here,
//! comes neither a look at arguments nor a guard against panics: whatever is not that simple goes the long way, through the
//! method as the binding library made it. So does whatever has to wake somebody, as that runs foreign code. For that the function in the method's definition is replaced, once, when the module
//! is made.

use pyo3::PyClass;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::PyType;
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What a short way returns to Python.
pub(crate) enum Answer {
    Nothing,
    Yes,
    Object(Py<PyAny>),
}

impl Answer {
    fn into_ptr(self) -> *mut ffi::PyObject {
        // SAFETY: both singletons are there for ever.
        unsafe {
            match self {
                Self::Nothing => ffi::Py_NewRef(ffi::Py_None()),
                Self::Yes => ffi::Py_NewRef(ffi::Py_True()),
                Self::Object(object) => object.into_ptr(),
            }
        }
    }
}

/// Which calls go the short way, besides those without keywords only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    /// One argument.
    One,
    /// Arguments make no difference, as in `__exit__`.
    Whatever,
}

/// A method with a short way.
pub(crate) trait ShortCut {
    type Class: PyClass<Frozen = True> + Sync;

    /// Its name.
    const NAME: &'static str;

    const TAKES: Takes;

    /// Whether it is the way for instances of `class`, which may be a subclass.
    #[inline]
    fn serves(_class: &Bound<'_, PyType>) -> bool {
        true
    }

    /// None when it has to go the long way, as if nothing had happened. The argument is there if it takes one.
    ///
    /// It must not panic, as that ends the process: nobody is woken here, and nothing foreign runs, so there is little that
    /// could.
    fn run(object: &Self::Class, argument: Option<&Bound<'_, PyAny>>, py: Python<'_>) -> Option<Answer>;

    /// Where the long way is kept.
    fn long_way() -> &'static AtomicPtr<c_void>;
}

/// Defines short ways, and `prepare(py)`, which is to be called when the module is made: for each method a name of its own,
/// its class, its name in Python, what it takes, and the short way as a function of the object, the argument and `py`. `only`
/// tells for which classes it is the way, where a subclass may have another.
macro_rules! short_cuts {
    ($($short:ident: $class:ident $name:literal $takes:ident $(only $serves:path)? => $run:expr;)*) => {
        $(
            struct $short;

            impl $crate::ffi::short_cut::ShortCut for $short {
                type Class = $class;
                const NAME: &'static str = $name;
                const TAKES: $crate::ffi::short_cut::Takes = $crate::ffi::short_cut::Takes::$takes;

                $(
                    #[inline]
                    fn serves(class: &pyo3::Bound<'_, pyo3::types::PyType>) -> bool {
                        $serves(class)
                    }
                )?

                #[inline]
                fn run(
                    object: &$class,
                    argument: Option<&pyo3::Bound<'_, pyo3::PyAny>>,
                    py: pyo3::Python<'_>,
                ) -> Option<$crate::ffi::short_cut::Answer> {
                    $crate::ffi::short_cut::of($run)(object, argument, py)
                }

                fn long_way() -> &'static std::sync::atomic::AtomicPtr<std::ffi::c_void> {
                    use std::sync::atomic::AtomicPtr;
                    static LONG_WAY: AtomicPtr<std::ffi::c_void> = AtomicPtr::new(std::ptr::null_mut());
                    &LONG_WAY
                }
            }
        )*

        pub(crate) fn prepare(py: pyo3::Python<'_>) -> pyo3::PyResult<()> {
            $($crate::ffi::short_cut::shorten::<$short>(py)?;)*
            Ok(())
        }
    };
}
pub(crate) use short_cuts;

/// The closure itself; tells the compiler its type.
#[inline]
pub(crate) fn of<C, F>(run: F) -> F
where
    F: Fn(&C, Option<&Bound<'_, PyAny>>, Python<'_>) -> Option<Answer>,
{
    run
}

#[inline]
unsafe fn answer<S: ShortCut>(
    object: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls a method with the interpreter held, and with an instance of its class, whose layout begins with
    // that of the class in every subclass. The argument is null or a live object.
    let answer = unsafe {
        let py = Python::assume_attached();
        let object = Borrowed::from_ptr(py, object);
        let argument = Borrowed::from_ptr_or_opt(py, argument);
        let class = Borrowed::from_ptr(py, ffi::Py_TYPE(object.as_ptr()).cast());
        if S::serves(&class.cast_unchecked()) {
            S::run(object.cast_unchecked::<S::Class>().get(), argument.as_deref(), py)
        } else {
            None
        }
    };
    answer.map_or(std::ptr::null_mut(), Answer::into_ptr)
}

unsafe extern "C" fn without_arguments<S: ShortCut>(
    object: *mut ffi::PyObject,
    none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as CPython called this, so the other is called, which has this signature: `shorten` has seen to it.
    unsafe {
        let answer = answer::<S>(object, std::ptr::null_mut());
        if !answer.is_null() {
            return answer;
        }
        let long_way = S::long_way().load(Ordering::Relaxed);
        std::mem::transmute::<*mut c_void, ffi::PyCFunction>(long_way)(object, none)
    }
}

unsafe extern "C" fn with_arguments<S: ShortCut>(
    object: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as above; there are `count` arguments.
    unsafe {
        let fits = match S::TAKES {
            Takes::Nothing => count == 0,
            Takes::One => count == 1,
            Takes::Whatever => true,
        };
        if fits && names.is_null() {
            let argument = if S::TAKES == Takes::One { *args } else { std::ptr::null_mut() };
            let answer = answer::<S>(object, argument);
            if !answer.is_null() {
                return answer;
            }
        }
        let long_way = S::long_way().load(Ordering::Relaxed);
        std::mem::transmute::<*mut c_void, ffi::PyCFunctionFastWithKeywords>(long_way)(
            object, args, count, names,
        )
    }
}

/// Has calls of a method go the short way. To be called once, before anybody calls it.
pub(crate) fn shorten<S: ShortCut>(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<S::Class>();
    let method = class.getattr(S::NAME)?;
    assert!(is_method(&method, &class), "a method of the class's own");
    // SAFETY: it is a method of a class that the binding library made from definitions on the heap, which nobody reads at this
    // moment: the module is being made.
    unsafe {
        let definition = (*method.as_ptr().cast::<ffi::PyMethodDescrObject>()).d_method;
        let pointer = &raw mut (*definition).ml_meth;
        let flags = (*definition).ml_flags;
        // Made twice, it would be its own long way.
        if flags == ffi::METH_NOARGS {
            let short_way: ffi::PyCFunction = without_arguments::<S>;
            let long_way = (*pointer).PyCFunction;
            if !std::ptr::fn_addr_eq(long_way, short_way) {
                S::long_way().store(long_way as *mut c_void, Ordering::Relaxed);
                *pointer = ffi::PyMethodDefPointer { PyCFunction: short_way };
            }
        } else {
            assert_eq!(flags, ffi::METH_FASTCALL | ffi::METH_KEYWORDS, "another way to be called");
            let short_way: ffi::PyCFunctionFastWithKeywords = with_arguments::<S>;
            let long_way = (*pointer).PyCFunctionFastWithKeywords;
            if !std::ptr::fn_addr_eq(long_way, short_way) {
                S::long_way().store(long_way as *mut c_void, Ordering::Relaxed);
                *pointer = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: short_way };
            }
        }
    }
    Ok(())
}

fn is_method(object: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> bool {
    // SAFETY: the types of live objects; a method's descriptor begins with its class.
    unsafe {
        ffi::Py_TYPE(object.as_ptr()) == &raw mut ffi::PyMethodDescr_Type
            && (*object.as_ptr().cast::<ffi::PyDescrObject>()).d_type == class.as_type_ptr()
    }
}
