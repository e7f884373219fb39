//! Several items at once, where something may end it in the middle.
//!
//! Whether an item has been put is decided in the same native step that puts it. A loop in Python could be interrupted in
//! between, and would then report an item as not put that somebody has got already.

use super::arguments::Wait;
use super::base::{Queue, Try};
use super::core::{For, Item};
use super::names::names;
use crate::ffi;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};
use raddle_sync::queue::ShutDown;
use std::collections::VecDeque;

/// After as many items others may run and signals are seen to: an iterator that is native does neither.
const STRETCH: usize = 256;

impl Queue {
    /// Puts a batch, as much at a time as there is room for.
    pub(super) fn put_all(slf: &Bound<'_, Self>, mut items: VecDeque<Item>, mut wait: Wait) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let mut attempt = || {
            Ok(match this.core.put_many(slf.as_any(), &mut items)? {
                Ok(_) if items.is_empty() => Try::Done(()),
                Ok(_) => Try::Later,
                Err(ShutDown) => this.closed(),
            })
        };
        let tried = attempt().and_then(|tried| match tried {
            Try::Later => Self::wait(slf, For::Room, &mut wait, attempt),
            other => Ok(Some(other)),
        });
        let error = match tried {
            Ok(Some(Try::Done(()))) => return Ok(()),
            Ok(Some(Try::Switched)) => {
                return Self::put_each(slf, &PyList::new(py, items)?.into_any(), wait);
            }
            Ok(Some(Try::Never)) => names(py).shut_down(py),
            Ok(Some(Try::Later) | None) => names(py).full(py),
            Err(error) => error,
        };
        let unput = PyList::new(py, items)?.try_iter()?;
        error.value(py).setattr("unput", unput)?;
        Err(error)
    }

    /// Puts the items of an iterable one by one.
    pub(super) fn put_each(
        slf: &Bound<'_, Self>,
        iterable: &Bound<'_, PyAny>,
        mut wait: Wait,
    ) -> PyResult<()> {
        let (py, iterator) = (slf.py(), iterable.try_iter()?);
        // One timeout for all of them.
        wait.begin()?;
        let mut pending = None;
        let Err(error) = Self::put_from(slf, &iterator, wait, &mut pending) else { return Ok(()) };
        let pending = PyList::new(py, pending)?;
        let unput = ffi::invoke(names(py).chain.bind(py), (pending, iterator))?;
        error.value(py).setattr("unput", unput)?;
        Err(error)
    }

    /// `pending` is the item that has left the iterator and was not put.
    fn put_from(
        slf: &Bound<'_, Self>,
        iterator: &Bound<'_, PyIterator>,
        wait: Wait,
        pending: &mut Option<Item>,
    ) -> PyResult<()> {
        let py = slf.py();
        for count in 1.. {
            let Some(item) = ffi::next(iterator)? else { break };
            let item = pending.insert(item.unbind()).clone_ref(py);
            if slf.get().overrides_put() {
                let (block, timeout) = wait.as_arguments();
                ffi::invoke(&slf.getattr("put")?, (item, block, timeout))?;
            } else {
                Self::add(slf, item, wait)?;
            }
            *pending = None;
            Self::pause(py, count)?;
        }
        Ok(())
    }

    /// Puts items without waiting, the one that is in the list `pending` first. Returns whether all of them have been put;
    /// otherwise the list has the next one.
    pub(super) fn put_at_once(
        slf: &Bound<'_, Self>,
        pending: &Bound<'_, PyList>,
        iterator: &Bound<'_, PyIterator>,
    ) -> PyResult<bool> {
        for count in 1.. {
            if pending.is_empty() {
                let Some(item) = ffi::next(iterator)? else { return Ok(true) };
                pending.append(item)?;
            }
            if !Self::_try_put(slf, pending.get_item(0)?.unbind())? {
                return Ok(false);
            }
            pending.del_item(0)?;
            Self::pause(slf.py(), count)?;
        }
        Ok(true)
    }

    fn pause(py: Python<'_>, count: usize) -> PyResult<()> {
        if count.is_multiple_of(STRETCH) {
            py.detach(|| {});
            py.check_signals()?;
        }
        Ok(())
    }

    /// Takes one item as the overridden `get` does, and then as many as it gives at once, at most `most`.
    pub(super) fn get_each<'py>(
        slf: &Bound<'py, Self>,
        most: usize,
        wait: Wait,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let items = PyList::empty(py);
        let get = slf.getattr("get")?;
        let (block, timeout) = wait.as_arguments();
        items.append(ffi::invoke(&get, (block, timeout))?)?;
        while items.len() < most {
            match ffi::invoke(&get, (false,)) {
                Ok(item) => items.append(item)?,
                // The items that have been taken are not lost for it; the next call will meet it again.
                Err(error) if error.is_instance_of::<PyException>(py) => break,
                Err(error) => {
                    error.value(py).setattr("taken", items)?;
                    return Err(error);
                }
            }
        }
        Ok(items.into_any())
    }
}
