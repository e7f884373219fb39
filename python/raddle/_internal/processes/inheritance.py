"""What passes to a worker with its start alone: queues, locks and pipes of multiprocessing, given to an initializer.

multiprocessing lets these be pickled while a process is started, and hands their descriptors to it besides. To
multiprocessing, a worker that is about to be started looks like a process of its fork server, and so it looks to the
worker itself. What was made for forked processes can't be pickled at all: a forked worker finds it in its memory.
"""

from __future__ import annotations

import itertools
import sys
import weakref
from io import BytesIO

from raddle._internal import serialization
from raddle._internal.serialization.pickling import PROTOCOL, REDUCERS, Pickler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Start:
    """An initializer and its arguments, on their way to the workers of a pool."""

    def __init__(self, initializer: Callable[..., object], initargs: tuple[Any, ...]) -> None:
        self.initializer, self.initargs = initializer, initargs
        self.number = next(_numbers)
        _starts[self.number] = self

    def run(self) -> None:
        """Initialise the worker that this is."""
        self.initializer(*self.initargs)

    def dump(self) -> tuple[bytes, tuple[int, ...]]:
        """Pickle it for a worker that is started now; return the descriptors that are to go along, too."""
        both = (self.initializer, self.initargs)
        if "multiprocessing.context" not in sys.modules:
            return serialization.dumps(both, None), ()
        from multiprocessing import context

        started = _Started()
        before = context.get_spawning_popen()
        context.set_spawning_popen(started)  # type: ignore[arg-type]
        try:
            stream = BytesIO()
            _Pickler(stream, PROTOCOL).dump(both)
            return stream.getvalue(), tuple(started.fds)
        except ForForkedProcesses:
            raise
        except Exception:
            serialization.dumps(both, None)  # says better what is wrong, if it finds that, too
            raise
        finally:
            context.set_spawning_popen(before)


def inherited(number: int) -> Start:
    """Return, in a worker forked from the program, what the program has under this number."""
    return _starts[number]


def received(pickled: bytes) -> Start:
    """Return, in any other worker, what `dump` has pickled."""
    return Start(*serialization.loads(pickled, []))


class ForForkedProcesses(RuntimeError):
    """What the workers are to have can only be had by forked processes."""


_FOR_FORKED = (
    "initargs holds a {} of multiprocessing's context 'fork' (the default one before Python 3.14), or something "
    "that has one, such as a queue. Only processes forked from this program have it, and workers are not. Make it "
    "with multiprocessing.get_context('spawn'), or with raddle.multiprocessing, which works however workers start; "
    "or give the executor start='fork'"
)


class _Pickler(Pickler):
    """One that knows of connections and sockets what multiprocessing does."""

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        synchronize = sys.modules.get("multiprocessing.synchronize")
        if synchronize is not None and isinstance(obj, synchronize.SemLock) and obj._semlock.name is None:
            raise ForForkedProcesses(_FOR_FORKED.format(kind.__name__))
        if kind not in REDUCERS:
            from multiprocessing.reduction import ForkingPickler

            if reduce := ForkingPickler._extra_reducers.get(kind):  # type: ignore[attr-defined]
                return reduce(obj)
        return super().reducer_override(obj)


class _Started:
    """A process that is being started, as multiprocessing's reductions know one."""

    method = "forkserver"

    def __init__(self) -> None:
        self.fds: list[int] = []

    def DupFd(self, place: int) -> Any:  # noqa: N802  # multiprocessing's name
        from multiprocessing import popen_forkserver

        return popen_forkserver._DupFd(place)

    def duplicate_for_child(self, fd: int) -> int:
        self.fds.append(fd)
        return len(self.fds) - 1


_numbers = itertools.count(1)
_starts: weakref.WeakValueDictionary[int, Start] = weakref.WeakValueDictionary()
