"""`SharedMemory`, whose life its maker decides.

The stdlib's tells the resource tracker of every block that is opened, and the tracker removes what it knows of when
the processes that started it are gone. So a process that only had a look takes the block away from everybody
(python/cpython#82300). Here only who makes a block has it tracked, unless `track` says otherwise; and who removes
one has it forgotten.
"""

from __future__ import annotations

import _posixshmem  # type: ignore[import-not-found,unused-ignore]
import mmap
import multiprocessing.shared_memory as _stdlib
import os
import types
from multiprocessing import resource_tracker
from typing import Any


class SharedMemory(_stdlib.SharedMemory):
    """A named block of memory that processes share.

    `track`: whether the block is removed once this process and its relatives are gone without having done so. By
    default it is where it was made (`create=True`), and not where it was only opened.
    """

    _track = False  # where the constructor fails early

    def __init__(
        self, name: str | None = None, create: bool = False, size: int = 0, *, track: bool | None = None
    ) -> None:
        if not size >= 0:
            raise ValueError("'size' must be a positive integer")
        if create:
            self._flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
            if size == 0:
                raise ValueError("'size' must be a positive number different from zero")
        if name is None and not self._flags & os.O_EXCL:
            raise ValueError("'name' can only be None if create=True")
        self._track = create if track is None else track
        if name is None:
            self._fd, self._name = self._make()
        else:
            self._name = "/" + name if self._prepend_leading_slash else name  # type: ignore[attr-defined,unused-ignore]
            self._fd = _posixshmem.shm_open(self._name, self._flags, mode=self._mode)  # type: ignore[attr-defined]
        try:
            if create and size:
                os.ftruncate(self._fd, size)
            self._size = os.fstat(self._fd).st_size
            self._mmap = mmap.mmap(self._fd, self._size)
        except OSError:
            if create:
                _posixshmem.shm_unlink(self._name)
            raise
        if self._track:
            resource_tracker.register(self._name, "shared_memory")
        self._buf = memoryview(self._mmap)

    def _make(self) -> tuple[int, str]:
        while True:
            name = _stdlib._make_filename()  # type: ignore[attr-defined,unused-ignore]
            try:
                return _posixshmem.shm_open(name, self._flags, mode=self._mode), name  # type: ignore[attr-defined]
            except FileExistsError:
                continue

    def unlink(self) -> None:
        """Remove the block: nobody can open it any more, and its memory goes with the last who has it open."""
        if not self._name:
            return
        _posixshmem.shm_unlink(self._name)
        tracker: Any = resource_tracker._resource_tracker
        if self._track or tracker._fd is not None:
            # The tracker may be the maker's, which is to forget it too. It complains of what it does not know, and
            # only of that.
            resource_tracker.register(self._name, "shared_memory")
            resource_tracker.unregister(self._name, "shared_memory")


def _over(function: Any, **names: Any) -> Any:
    """Return the function as it would be in a module in which these names mean something else."""
    copy = types.FunctionType(
        function.__code__, {**function.__globals__, **names}, function.__name__, function.__defaults__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__doc__ = function.__doc__
    return copy


class ShareableList(_stdlib.ShareableList):  # type: ignore[type-arg]
    """A list of numbers, texts and bytes in a `SharedMemory`."""

    __init__ = _over(_stdlib.ShareableList.__init__, SharedMemory=SharedMemory)


for _class in (SharedMemory, ShareableList):
    # Where users find it, which is what pickles name.
    _class.__module__ = "raddle.multiprocessing.shared_memory"
