"""How what lives in shared memory reaches a process that did not inherit it.

As in the stdlib, such things are passed as arguments of a `Process`, and while that is started they are pickled: the
descriptor of the memory travels along, and what arrives stands for the same thing. At any other time pickling them
is an error, as nothing would take the descriptor along.
"""

from __future__ import annotations

from multiprocessing import context, reduction
from typing import Any


def check(thing: object) -> None:
    """Raise RuntimeError unless a process is being started, which is when `thing` may be pickled."""
    context.assert_spawning(thing)


def duplicate(fd: int) -> Any:
    """Return what a descriptor is pickled as."""
    popen: Any = context.get_spawning_popen()
    if fd in getattr(popen, "_fds", ()) and popen.method == "spawn":
        # A fresh interpreter inherits it by its number, and must not be told twice to.
        return popen.DupFd(fd)
    return reduction.DupFd(fd)  # type: ignore[attr-defined,unused-ignore]
