"""Primitives of `raddle.multiprocessing` as arguments of tasks.

multiprocessing lets them be pickled while a process is started, which takes their descriptors along. A worker has been
started long ago. So, while a task is pickled, it looks to multiprocessing as if a process were being started; where
that would take a descriptor along, the worker gets to know where its parent has the memory open, and opens that
through /proc. So whoever passes a primitive keeps it as long as tasks use it.

What is no memory can't be opened in this way, and what has memory of multiprocessing's heap is not asked for it here:
pipes, queues, values and barriers go through `initargs`.
"""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")


def lending(dump: Callable[[], T]) -> T:
    """Call `dump`, in which primitives may be pickled."""
    context = sys.modules.get("multiprocessing.context")
    if context is None:
        return dump()
    before = context.get_spawning_popen()
    if before is not None:
        return dump()  # a process is being started indeed
    context.set_spawning_popen(_Task())
    try:
        return dump()
    finally:
        context.set_spawning_popen(None)


class Lent:
    """A descriptor of this process's, on its way to another one."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __reduce__(self) -> Any:
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise TypeError(
                "cannot pickle what has a pipe or a socket in it, but for a process that is started"
            )
        return Borrowed, (os.getpid(), self._fd, (status.st_dev, status.st_ino))


class Borrowed:
    """A descriptor of another process's."""

    def __init__(self, process: int, fd: int, identity: tuple[int, int]) -> None:
        self._process, self._fd, self._identity = process, fd, identity

    def detach(self) -> int:
        """Return a descriptor of the same file."""
        try:
            fd = os.open(f"/proc/{self._process}/fd/{self._fd}", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            fd = -1
        if fd >= 0:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) == self._identity:
                return fd
            os.close(fd)
        raise RuntimeError("what the task was given is gone: keep a lock or an event while tasks use it")


class _Task:
    """A task, as multiprocessing's reductions know a process that is being started."""

    method = "forkserver"

    def duplicate_for_child(self, fd: int) -> int:
        return fd

    def DupFd(self, fd: int) -> Lent:  # noqa: N802  # multiprocessing's name
        return Lent(fd)
