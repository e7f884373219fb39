"""What passes to a worker with its start alone: queues, locks and pipes of multiprocessing, given to an initializer.

multiprocessing lets these be pickled while a process is started, and hands their descriptors to it besides. To
multiprocessing, a worker that is about to be started looks like a process of its fork server, and so it looks to the
worker itself. What was made for forked processes can't be pickled at all: a forked worker finds it in its memory.
"""

from __future__ import annotations

import functools
import itertools
import sys
import weakref
from io import BytesIO
from types import FunctionType

from raddle import _raddle
from raddle._internal import serialization
from raddle._internal.serialization.captured import bound_names
from raddle._internal.serialization.namespaces import Space, initialize
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

    def announce(self) -> None:
        """Let the workers' namespaces expect what the initializer binds."""
        function = _function_of(self.initializer)
        if function is not None:
            Space(function.__globals__, upward=False).expect_bound(bound_names(function.__code__))

    def run(self) -> None:
        """Initialise the worker that this is."""
        function = _function_of(self.initializer)
        call = functools.partial(self.initializer, *self.initargs)
        initialize(call, None if function is None else function.__globals__)

    def dump(self) -> tuple[bytes, tuple[int, ...]]:
        """Pickle it for a worker that is started now; return the descriptors that are to go along, too."""
        # The handles among the arguments live as long as the pool, which has this object.
        return _raddle.dump_with_shared(self._dump)

    def _dump(self) -> tuple[bytes, tuple[int, ...]]:
        both = (self.initializer, self.initargs)
        if "multiprocessing.context" not in sys.modules:
            try:
                return serialization.dumps(both, None), ()
            except Exception:
                self._explain()
                raise
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
            self._explain()
            raise
        finally:
            context.set_spawning_popen(before)

    def _explain(self) -> None:
        """Raise an error that says what is wrong in the words of who made the pool, if that is found."""
        serialization.dump_function(self.initializer)
        serialization.dumps(self.initargs, None, "initargs")


def _function_of(initializer: Any) -> FunctionType | None:
    while isinstance(initializer, functools.partial):
        initializer = initializer.func
    function = getattr(initializer, "__func__", initializer)
    return function if isinstance(function, FunctionType) else None


def inherited(number: int) -> Start:
    """Return, in a worker forked from the program, what the program has under this number."""
    start = _starts[number]
    # As an argument that is pickled arrives: as the object itself.
    initargs = tuple(each.get() if isinstance(each, _raddle.Shared) else each for each in start.initargs)
    return Start(start.initializer, initargs)


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
