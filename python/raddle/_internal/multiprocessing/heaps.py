"""The memory that `Value` and `Array` stand in: the stdlib's heap, without a file.

The stdlib's takes a temporary file that it has removed, in `/dev/shm` where that is large enough, else on a disk.
Here it is memory without a name, which no limit of a file system applies to.
"""

from __future__ import annotations

import mmap
import multiprocessing.heap as _stdlib
import os
import sys
from multiprocessing import reduction, util
from typing import Any


class Arena(_stdlib.Arena):
    """A piece of memory that processes share."""

    def __init__(self, size: int, fd: int = -1) -> None:
        if fd == -1:
            fd = os.memfd_create("raddle-heap", os.MFD_CLOEXEC)
            try:
                os.ftruncate(fd, size)
            except OSError:
                os.close(fd)
                raise
        self.size = size
        self.fd = fd
        util.Finalize(self, os.close, (fd,))
        self.buffer = mmap.mmap(fd, size)


def _rebuild_arena(size: int, fd: Any) -> Arena:
    return Arena(size, fd.detach())


def _reduce_arena(arena: Arena) -> Any:
    return _rebuild_arena, (arena.size, reduction.DupFd(arena.fd))  # type: ignore[attr-defined,unused-ignore]


reduction.register(Arena, _reduce_arena)


class Heap(_stdlib.Heap):
    """Pieces of such memories."""

    def _new_arena(self, size: int) -> Any:
        length = self._roundup(max(self._size, size), mmap.PAGESIZE)  # type: ignore[attr-defined,unused-ignore]
        # Larger and larger ones, up to a size at which one more does not matter.
        if self._size < self._DOUBLE_ARENA_SIZE_UNTIL:  # type: ignore[attr-defined,has-type,unused-ignore]
            self._size *= 2  # type: ignore[attr-defined,has-type,unused-ignore]
        util.info("allocating a new mmap of length %d", length)
        arena = Arena(length)
        self._arenas.append(arena)  # type: ignore[attr-defined,unused-ignore]
        return arena, 0, length


class BufferWrapper(_stdlib.BufferWrapper):
    """A piece of shared memory that is given back with the object."""

    _heap = Heap()

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"Size {size:n} out of range")
        if sys.maxsize <= size:
            raise OverflowError(f"Size {size:n} too large")
        block = self._heap.malloc(size)
        self._state = (block, size)  # type: ignore[assignment,unused-ignore]
        util.Finalize(self, self._heap.free, args=(block,))


for _class in (Arena, Heap, BufferWrapper):
    # Where users find it, which is what pickles name.
    _class.__module__ = "raddle.multiprocessing.heap"
