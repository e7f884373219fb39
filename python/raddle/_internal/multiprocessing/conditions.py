"""Conditions and barriers, for processes.

A condition is a lock and a native queue of those who wait. A notification wakes whoever has waited longest, passes
over processes that are gone, and never waits for anybody; the stdlib's waits until each sleeper has woken, and so
for ever for one that was killed.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from raddle import _raddle
from raddle._internal.multiprocessing import passing
from raddle._internal.multiprocessing.heaps import BufferWrapper

T = TypeVar("T")


class _Count:
    """Looks like one of the semaphores that the stdlib's condition counts with, for code that reaches for it."""

    def __init__(self, count: int) -> None:
        self._count = count

    def get_value(self) -> int:
        """Return the count."""
        return self._count


class Condition:
    """Wait, with a lock, until something that it guards has come to be."""

    def __init__(self, lock: Any = None, *, ctx: Any = None) -> None:
        if lock is None:
            from raddle._internal.multiprocessing.primitives import RLock

            lock = RLock(ctx=ctx)
        self._use(lock, _raddle.SharedWaiters())

    def _use(self, lock: Any, waiters: _raddle.SharedWaiters) -> None:
        self._lock = lock
        self._waiters = waiters
        self.acquire = lock.acquire
        self.release = lock.release

    def __getstate__(self) -> Any:
        passing.check(self)
        fd, offset = self._waiters._name()
        return self._lock, passing.duplicate(fd), offset

    def __setstate__(self, state: Any) -> None:
        lock, fd, offset = state
        self._use(lock, _raddle.SharedWaiters((fd.detach(), offset)))

    def __enter__(self) -> Any:
        return self._lock.__enter__()

    def __exit__(self, *args: object) -> None:
        self._lock.__exit__(*args)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._lock}, {len(self._waiters)})>"

    @property
    def _sleeping_count(self) -> _Count:
        return _Count(len(self._waiters))

    @property
    def _woken_count(self) -> _Count:
        return _Count(0)

    _wait_semaphore = _woken_count

    def wait(self, timeout: float | None = None) -> bool:
        """Free the lock, wait to be notified, at most `timeout` seconds, and take the lock again.

        Returns:
            Whether it was notified.
        """
        lock = self._lock
        if not lock._semlock._is_mine():
            raise AssertionError("must acquire() condition before using wait()")
        waiters = self._waiters
        seat = waiters.enter()
        count = lock._semlock._count()
        for _ in range(count):
            lock.release()
        raised = True
        try:
            waiters.wait(seat, timeout)
            raised = False
        finally:
            called = waiters.leave(seat)
            for _ in range(count):
                lock.acquire()
            if raised and called:
                waiters.notify(1)  # somebody else is to have what this one could not use
        return called

    def notify(self, n: int = 1) -> None:
        """Wake the `n` who have waited longest."""
        if not self._lock._semlock._is_mine():
            raise AssertionError("lock is not owned")
        self._waiters.notify(n)

    def notify_all(self) -> None:
        """Wake all who wait."""
        self.notify(sys.maxsize)

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until `predicate()` is true, at most `timeout` seconds. Returns what it returned last."""
        result = predicate()
        end = None if timeout is None else time.monotonic() + timeout
        while not result:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result


class Barrier(threading.Barrier):
    """A meeting point of processes: the stdlib's, on a condition of Raddle's."""

    _cond: Condition

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: Any = None,
    ) -> None:
        if parties < 1:
            raise ValueError("parties must be > 0")
        self.__setstate__((parties, action, timeout, Condition(ctx=ctx), BufferWrapper(8)))
        self._state = 0
        self._count = 0

    def __setstate__(self, state: Any) -> None:
        self._parties, self._action, self._timeout, self._cond, self._wrapper = state  # type: ignore[misc,unused-ignore]
        self._array = self._wrapper.create_memoryview().cast("i")

    def __getstate__(self) -> Any:
        return self._parties, self._action, self._timeout, self._cond, self._wrapper

    @property
    def _state(self) -> int:
        return int(self._array[0])

    @_state.setter
    def _state(self, value: int) -> None:
        self._array[0] = value

    @property
    def _count(self) -> int:
        return int(self._array[1])

    @_count.setter
    def _count(self, value: int) -> None:
        self._array[1] = value


for _class in (Condition, Barrier):
    # Where users find it, which is what pickles name.
    _class.__module__ = "raddle.multiprocessing.synchronize"
