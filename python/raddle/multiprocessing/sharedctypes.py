"""`multiprocessing.sharedctypes`: ctypes objects in memory without a file."""

from multiprocessing import sharedctypes as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.multiprocessing.shared_values import (
    Array,
    RawArray,
    RawValue,
    Value,
    copy,
    synchronized,
)
from raddle._internal.replacement import replace as _replace

__all__ = ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"]
if not TYPE_CHECKING:
    _replace(__name__, _stdlib)
