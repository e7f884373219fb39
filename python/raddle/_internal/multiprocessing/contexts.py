"""Contexts: the stdlib's start methods with Raddle's primitives.

A context starts processes as the stdlib's of the same name does. Which start method is the default one is the
stdlib's to say, and to remember: `set_start_method` on Raddle's default context sets it for both. That is also what
a process that was spawned finds, as the stdlib's own code sets it there.
"""

from __future__ import annotations

import multiprocessing.context as _stdlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Base = _stdlib.BaseContext
else:
    _Base = object

_STDLIB_DEFAULT: Any = _stdlib._default_context


class Primitives(_Base):
    """The methods of a context that make something to share."""

    def Manager(self) -> Any:  # noqa: N802
        """Return a manager whose process has been started."""
        from raddle._internal.multiprocessing.manager_classes import SyncManager

        manager = SyncManager(ctx=self.get_context())
        manager.start()
        return manager

    def Pipe(self, duplex: bool = True) -> Any:  # noqa: N802
        """Return the two ends of a pipe."""
        from raddle._internal.multiprocessing.connections import Pipe

        return Pipe(duplex)

    def Lock(self) -> Any:  # noqa: N802
        """Return a lock that one process, and one thread in it, holds at a time."""
        from raddle._internal.multiprocessing.primitives import Lock

        return Lock(ctx=self.get_context())

    def RLock(self) -> Any:  # noqa: N802
        """Return a lock that its holder may take again."""
        from raddle._internal.multiprocessing.primitives import RLock

        return RLock(ctx=self.get_context())

    def Condition(self, lock: Any = None) -> Any:  # noqa: N802
        """Return a condition, on `lock` or on an RLock of its own."""
        from raddle._internal.multiprocessing.conditions import Condition

        return Condition(lock, ctx=self.get_context())

    def Semaphore(self, value: int = 1) -> Any:  # noqa: N802
        """Return a semaphore with `value` permits."""
        from raddle._internal.multiprocessing.primitives import Semaphore

        return Semaphore(value, ctx=self.get_context())

    def BoundedSemaphore(self, value: int = 1) -> Any:  # noqa: N802
        """Return a semaphore that never has more than `value` permits."""
        from raddle._internal.multiprocessing.primitives import BoundedSemaphore

        return BoundedSemaphore(value, ctx=self.get_context())

    def Event(self) -> Any:  # noqa: N802
        """Return an event that is not set."""
        from raddle._internal.multiprocessing.primitives import Event

        return Event(ctx=self.get_context())

    def Barrier(self, parties: int, action: Any = None, timeout: float | None = None) -> Any:  # noqa: N802
        """Return a barrier at which `parties` meet."""
        from raddle._internal.multiprocessing.conditions import Barrier

        return Barrier(parties, action, timeout, ctx=self.get_context())

    def Queue(self, maxsize: int = 0) -> Any:  # noqa: N802
        """Return a queue of at most `maxsize` objects, or without a limit."""
        from raddle._internal.multiprocessing.queues import Queue

        return Queue(maxsize, ctx=self.get_context())

    def JoinableQueue(self, maxsize: int = 0) -> Any:  # noqa: N802
        """Return a queue that can be waited for until everything in it has been dealt with."""
        from raddle._internal.multiprocessing.queues import JoinableQueue

        return JoinableQueue(maxsize, ctx=self.get_context())

    def SimpleQueue(self) -> Any:  # noqa: N802
        """Return a queue without a limit."""
        from raddle._internal.multiprocessing.queues import SimpleQueue

        return SimpleQueue(ctx=self.get_context())

    def Pool(  # noqa: N802
        self,
        processes: int | None = None,
        initializer: Any = None,
        initargs: Any = (),
        maxtasksperchild: int | None = None,
    ) -> Any:
        """Return worker processes that call functions."""
        from raddle._internal.multiprocessing.pools import Pool

        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def RawValue(self, typecode_or_type: Any, *args: Any) -> Any:  # noqa: N802
        """Return a ctypes object in shared memory."""
        from raddle._internal.multiprocessing.shared_values import RawValue

        return RawValue(typecode_or_type, *args)

    def RawArray(self, typecode_or_type: Any, size_or_initializer: Any) -> Any:  # noqa: N802
        """Return a ctypes array in shared memory."""
        from raddle._internal.multiprocessing.shared_values import RawArray

        return RawArray(typecode_or_type, size_or_initializer)

    def Value(self, typecode_or_type: Any, *args: Any, lock: Any = True) -> Any:  # noqa: N802
        """Return a ctypes object in shared memory, with a lock."""
        from raddle._internal.multiprocessing.shared_values import Value

        return Value(typecode_or_type, *args, lock=lock, ctx=self.get_context())

    def Array(self, typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True) -> Any:  # noqa: N802
        """Return a ctypes array in shared memory, with a lock."""
        from raddle._internal.multiprocessing.shared_values import Array

        return Array(typecode_or_type, size_or_initializer, lock=lock, ctx=self.get_context())

    def get_context(self, method: str | None = None) -> Any:
        """Return the context of a start method, or this one."""
        if method is None:
            return self
        super().get_context(method)._check_available()  # raises for names that mean nothing here
        return CONTEXTS[method]


class ForkContext(Primitives, _stdlib.ForkContext):
    """Processes are forks of this one."""


class SpawnContext(Primitives, _stdlib.SpawnContext):
    """Processes are fresh interpreters."""


class ForkServerContext(Primitives, _stdlib.ForkServerContext):
    """Processes are forks of a server that was started clean."""


CONTEXTS: dict[str, Any] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}


class DefaultContext(Primitives, _stdlib.DefaultContext):
    """The context behind the functions of `raddle.multiprocessing`, whose settings are the stdlib's."""

    def get_context(self, method: str | None = None) -> Any:
        """Return the context of a start method, or of the one that is set."""
        if method is None:
            method = _STDLIB_DEFAULT.get_start_method()
        return super().get_context(method)

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Set how processes are started, once in a program."""
        _STDLIB_DEFAULT.set_start_method(method, force)

    def get_start_method(self, allow_none: bool = False) -> Any:
        """Return how processes are started."""
        return _STDLIB_DEFAULT.get_start_method(allow_none)

    def get_all_start_methods(self) -> list[str]:
        """Return the ways to start processes, the default first."""
        methods: list[str] = _STDLIB_DEFAULT.get_all_start_methods()
        return methods

    @property
    def _default_context(self) -> Any:
        default = _STDLIB_DEFAULT._default_context
        return CONTEXTS[default._name]

    @property
    def _actual_context(self) -> Any:
        actual = _STDLIB_DEFAULT._actual_context
        return None if actual is None else CONTEXTS[actual._name]

    @_actual_context.setter
    def _actual_context(self, context: Any) -> None:
        if context is not None:
            context = _STDLIB_DEFAULT.get_context(context._name)
        _STDLIB_DEFAULT._actual_context = context


DEFAULT = DefaultContext.__new__(DefaultContext)
"""The one there is; its state is the stdlib's."""
