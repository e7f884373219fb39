"""Everything that `_thread` exports, with Raddle's locks."""

import _thread as _stdlib_thread
from _thread import (
    TIMEOUT_MAX,
    error,
    exit,
    get_ident,
    get_native_id,
    interrupt_main,
    stack_size,
    start_new_thread,
)
from typing import TYPE_CHECKING

from raddle._internal.primitives import Lock as LockType
from raddle._internal.primitives import RLock
from raddle._internal.replacement import replace as _replace

allocate_lock = allocate = lock = LockType

__all__ = [
    "TIMEOUT_MAX",
    "LockType",
    "RLock",
    "allocate",
    "allocate_lock",
    "error",
    "exit",
    "get_ident",
    "get_native_id",
    "interrupt_main",
    "lock",
    "stack_size",
    "start_new_thread",
]
if not TYPE_CHECKING:
    _replace(__name__, _stdlib_thread)
