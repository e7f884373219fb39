"""Locks, semaphores and events, for processes.

Native, but for what the stdlib's look like: the constructors, what they are shown as, and how they are passed on.
Code that reaches for the stdlib's `_semlock` finds the primitive itself, which knows the same questions.
"""

from __future__ import annotations

import threading
from multiprocessing import process
from typing import TYPE_CHECKING, Any

from raddle import _raddle
from raddle._internal.multiprocessing import bound as bound  # before anything here is used
from raddle._internal.multiprocessing import passing

if TYPE_CHECKING:
    from typing_extensions import Self

RECURSIVE_MUTEX, SEMAPHORE = 0, 1
SEM_VALUE_MAX = 2**31 - 1


def _rebuild(cls: type[Any], fd: Any, offset: int) -> Any:
    return cls._native.__new__(cls, (fd.detach(), offset))


class _Passed:
    """What is pickled by its name. What `__init__` is called with is nothing to `__new__`: subclasses may differ."""

    __slots__ = ()

    def __new__(cls, *_args: Any, **_named: Any) -> Self:
        return super().__new__(cls)

    def __reduce__(self) -> Any:
        passing.check(self)
        fd, offset = self._name()  # type: ignore[attr-defined]
        return _rebuild, (type(self), passing.duplicate(fd), offset)

    @property
    def _semlock(self) -> Self:
        return self


class _AsSemaphore(_Passed):
    """A lock as the semaphore with one permit that the stdlib's is."""

    __slots__ = ()

    def _get_value(self) -> int:
        return 0 if self._is_zero() else 1

    def _is_zero(self) -> bool:
        held: bool = self.locked()  # type: ignore[attr-defined]
        return held


class Lock(_AsSemaphore, _raddle.SharedLock):
    """A lock that one thread of one process holds at a time, and anybody may release.

    Whoever would wait for ever for it because the process that holds it is gone gets `OwnerDied`. `release()` frees
    it then.
    """

    _native = _raddle.SharedLock
    kind = SEMAPHORE
    maxvalue = 1

    def __init__(self, *, ctx: Any = None) -> None:
        """Make a lock that is free."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(owner={_owner(self)})>"


class RLock(_AsSemaphore, _raddle.SharedRLock):
    """A lock that its holder, a thread of a process, may take again, and releases as many times.

    Whoever would wait for ever for it because the process that holds it is gone gets `OwnerDied`. Anybody may
    release it then.
    """

    _native = _raddle.SharedRLock
    kind = RECURSIVE_MUTEX
    maxvalue = 1

    def __init__(self, *, ctx: Any = None) -> None:
        """Make a lock that is free."""

    def __repr__(self) -> str:
        owner = _owner(self)
        count: object = self._count() if self._is_mine() else 0 if owner == "None" else "nonzero"
        return f"<{type(self).__name__}({owner}, {count})>"


def _owner(lock: Lock | RLock) -> str:
    if lock._is_mine():
        name = process.current_process().name
        thread = threading.current_thread().name
        return name if thread == "MainThread" else f"{name}|{thread}"
    if not lock._is_zero():
        return "None"
    return "SomeOtherThread" if lock._count() > 0 else "SomeOtherProcess"


class Semaphore(_Passed, _raddle.SharedSemaphore):
    """A number of permits, which processes take and give back. A process that ends keeps the permits that it has."""

    _native = _raddle.SharedSemaphore
    kind = SEMAPHORE

    def __init__(self, value: int = 1, *, ctx: Any = None) -> None:  # noqa: ARG002
        """Make a semaphore with `value` permits."""
        self._reset(value, SEM_VALUE_MAX)

    @property
    def maxvalue(self) -> int:
        """The most permits that it ever has."""
        return self._limit()

    def locked(self) -> bool:
        """Tell whether no permits are left."""
        return self.get_value() == 0

    _get_value = _raddle.SharedSemaphore.get_value
    _is_zero = locked

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()})>"


class BoundedSemaphore(Semaphore):
    """A semaphore that never has more permits than it began with."""

    def __init__(self, value: int = 1, *, ctx: Any = None) -> None:  # noqa: ARG002
        """Make a semaphore with `value` permits."""
        self._reset(value, max(value, 0))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()}, maxvalue={self.maxvalue})>"


class Event(_Passed, _raddle.SharedEvent):
    """A flag that processes set, clear and wait for."""

    _native = _raddle.SharedEvent

    def __init__(self, *, ctx: Any = None) -> None:
        """Make an event that is not set."""

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} at {id(self):#x} {'set' if self.is_set() else 'unset'}>"


for _class in (Lock, RLock, Semaphore, BoundedSemaphore, Event):
    # Where users find it, which is what pickles name.
    _class.__module__ = "raddle.multiprocessing.synchronize"
