"""`multiprocessing.heap`: pieces of memory without a file."""

from multiprocessing import heap as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.multiprocessing.heaps import Arena, BufferWrapper, Heap
from raddle._internal.replacement import replace as _replace

__all__ = ["Arena", "BufferWrapper", "Heap"]
if not TYPE_CHECKING:
    _replace(__name__, _stdlib)
