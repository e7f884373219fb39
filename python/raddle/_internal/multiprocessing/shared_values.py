"""`Value` and `Array`: the stdlib's, in memory without a file, with Raddle's locks."""

from __future__ import annotations

import ctypes
import multiprocessing.sharedctypes as _stdlib
from multiprocessing.sharedctypes import synchronized as _synchronized
from typing import Any

from raddle._internal.multiprocessing.contexts import DEFAULT
from raddle._internal.multiprocessing.heaps import BufferWrapper

_TYPES: dict[Any, Any] = _stdlib.typecode_to_type  # type: ignore[attr-defined,unused-ignore]


def _new_value(type_: Any) -> Any:
    return _stdlib.rebuild_ctype(  # type: ignore[attr-defined,unused-ignore]
        type_, BufferWrapper(ctypes.sizeof(type_)), None
    )


def RawValue(typecode_or_type: Any, *args: Any) -> Any:  # noqa: N802
    """Return a ctypes object in shared memory."""
    type_ = _TYPES.get(typecode_or_type, typecode_or_type)
    value = _new_value(type_)
    ctypes.memset(ctypes.addressof(value), 0, ctypes.sizeof(value))
    value.__init__(*args)
    return value


def RawArray(typecode_or_type: Any, size_or_initializer: Any) -> Any:  # noqa: N802
    """Return a ctypes array in shared memory."""
    type_ = _TYPES.get(typecode_or_type, typecode_or_type)
    if isinstance(size_or_initializer, int):
        array = _new_value(type_ * size_or_initializer)
        ctypes.memset(ctypes.addressof(array), 0, ctypes.sizeof(array))
    else:
        array = _new_value(type_ * len(size_or_initializer))
        array.__init__(*size_or_initializer)
    return array


def Value(typecode_or_type: Any, *args: Any, lock: Any = True, ctx: Any = None) -> Any:  # noqa: N802
    """Return a ctypes object in shared memory, with a lock."""
    return _locked(RawValue(typecode_or_type, *args), lock, ctx)


def Array(typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True, ctx: Any = None) -> Any:  # noqa: N802
    """Return a ctypes array in shared memory, with a lock."""
    return _locked(RawArray(typecode_or_type, size_or_initializer), lock, ctx)


def _locked(value: Any, lock: Any, ctx: Any) -> Any:
    if lock is False:
        return value
    if lock is True or lock is None:
        lock = (ctx or DEFAULT.get_context()).RLock()
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire'")
    return synchronized(value, lock, ctx)


def copy(obj: Any) -> Any:
    """Return a copy of a ctypes object, in shared memory."""
    new = _new_value(type(obj))
    ctypes.pointer(new)[0] = obj
    return new


def synchronized(obj: Any, lock: Any = None, ctx: Any = None) -> Any:
    """Return a wrapper of a ctypes object in shared memory that takes a lock for each access."""
    ctx = ctx or DEFAULT.get_context()
    return _synchronized(obj, lock or ctx.RLock(), ctx)
