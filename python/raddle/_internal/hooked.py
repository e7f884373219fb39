"""A queue whose items stand in Python: for subclasses with hooks, and for code that uses the stdlib's attributes.

The hooks `_put`, `_get` and `_qsize` of the queue itself, which is the first argument of most methods here, are called
with `mutex` held. Everything else is as in the stdlib, with Raddle's conditions, so that coroutines can be notified as
well. They take the mutex as threads do, which keeps their loop for as long as a hook runs: one of its tasks that stood
in line for the mutex could be the next one to get it while another one blocks the loop for it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from raddle._internal.async_waits import wait_out
from raddle._internal.primitives import Condition, Lock
from raddle._internal.queue_errors import Empty, Full, ShutDown

if TYPE_CHECKING:
    from raddle._internal.queues import Queue
    from raddle._raddle import AsyncWait

T = TypeVar("T")


class Later:
    """What `_try_get` returns when there is nothing to get."""

    def __repr__(self) -> str:
        return "LATER"


LATER = Later()


class Hooked:
    """What a queue's attributes refer to once its items stand in Python."""

    __slots__ = (
        "all_tasks_done",
        "is_shutdown",
        "maxsize",
        "mutex",
        "not_empty",
        "not_full",
        "queue",
        "unfinished_tasks",
    )

    queue: Any
    maxsize: Any

    def __init__(self) -> None:
        self.mutex = Lock()
        self.not_empty = Condition(self.mutex)
        self.not_full = Condition(self.mutex)
        self.all_tasks_done = Condition(self.mutex)
        self.unfinished_tasks = 0
        self.is_shutdown = False
        self.maxsize = 0

    def put(self, owner: Queue[T], item: T, block: bool, timeout: float | None) -> None:
        """Put an item, as `Queue.put` does."""
        with self.mutex:
            deadline = deadline_of(timeout)
            while not self._add(owner, item):
                _wait(self.not_full, block, deadline, Full)

    def get(self, owner: Queue[T], block: bool, timeout: float | None) -> T:
        """Take an item, as `Queue.get` does."""
        with self.mutex:
            deadline = deadline_of(timeout)
            while (item := self._take(owner)) is LATER:
                _wait(self.not_empty, block, deadline, Empty)
            return item  # type: ignore[return-value]

    def get_many(self, owner: Queue[T], n: int, block: bool, timeout: float | None) -> list[T]:
        """Take one item as `get` does, and then as many as there are, at most `n`."""
        items: list[T] = []
        try:
            with self.mutex:
                deadline = deadline_of(timeout)
                while not self._take_into(items, owner, n):
                    _wait(self.not_empty, block, deadline, Empty)
        except BaseException as error:
            _keep(items, error)
        return items

    async def aget_many(self, owner: Queue[T], n: int, deadline: float | None) -> list[T]:
        """Take items, as `Queue.aget_many` does."""
        items: list[T] = []
        while True:
            try:
                with self.mutex:
                    if self._take_into(items, owner, n):
                        return items
                    arrival = self.not_empty._async_notification()
            except BaseException as error:
                _keep(items, error)
                return items
            await wait_out_until(arrival, deadline, Empty)

    def try_put(self, owner: Queue[T], item: T) -> bool:
        """Put an item if there is room; return whether there was."""
        with self.mutex:
            return self._add(owner, item)

    def try_get(self, owner: Queue[T]) -> T | Later:
        """Take an item, or return `LATER`."""
        with self.mutex:
            return self._take(owner)

    def task_done(self) -> None:
        """Count an item as finished."""
        with self.mutex:
            if self.unfinished_tasks <= 0:
                raise ValueError("task_done() called too many times")
            self.unfinished_tasks -= 1
            if self.unfinished_tasks == 0:
                self.all_tasks_done.notify_all()

    def join(self) -> None:
        """Wait until all items are finished."""
        with self.mutex:
            while self.unfinished_tasks:
                self.all_tasks_done.wait()

    def shutdown(self, owner: Queue[Any], immediate: bool) -> None:
        """Shut the queue down, as `Queue.shutdown` does."""
        dropped = []
        with self.mutex:
            self.is_shutdown = True
            if immediate:
                while owner._qsize():
                    # What is dropped may run code: after the mutex has been released.
                    dropped.append(owner._get())
                    self.unfinished_tasks = max(0, self.unfinished_tasks - 1)
                self.all_tasks_done.notify_all()
            self.not_empty.notify_all()
            self.not_full.notify_all()

    def qsize(self, owner: Queue[Any]) -> int:
        """Count the items."""
        with self.mutex:
            return owner._qsize()

    def full(self, owner: Queue[Any]) -> bool:
        """Tell whether there are as many items as the queue holds."""
        with self.mutex:
            return bool(0 < self.maxsize <= owner._qsize())

    async def aput(self, owner: Queue[T], item: T, deadline: float | None) -> None:
        """Put an item, as `Queue.aput` does."""
        await self.aput_first(owner, [item], deadline)

    async def aput_first(self, owner: Queue[T], pending: list[T], deadline: float | None) -> None:
        """Put the only item of a list, and take it from there."""
        while True:
            with self.mutex:
                if self._add(owner, pending[0]):
                    pending.clear()
                    return
                room = self.not_full._async_notification()
            await wait_out_until(room, deadline, Full)

    async def aget(self, owner: Any, deadline: float | None) -> Any:
        """Take an item, as `Queue.aget` does."""
        while True:
            with self.mutex:
                if (item := self._take(owner)) is not LATER:
                    return item
                arrival = self.not_empty._async_notification()
            await wait_out_until(arrival, deadline, Empty)

    async def ajoin(self) -> None:
        """Wait until all items are finished."""
        while True:
            with self.mutex:
                if not self.unfinished_tasks:
                    return
                end = self.all_tasks_done._async_notification()
            await wait_out_until(end, None, Empty)

    def _add(self, owner: Queue[T], item: T) -> bool:
        if self.is_shutdown:
            raise ShutDown
        if 0 < self.maxsize <= owner._qsize():
            return False
        owner._put(item)
        self.unfinished_tasks += 1
        self.not_empty.notify()
        return True

    def _take(self, owner: Queue[T]) -> T | Later:
        if not owner._qsize():
            if self.is_shutdown:
                raise ShutDown
            return LATER
        item = owner._get()
        self.not_full.notify()
        return item

    def _take_into(self, items: list[T], owner: Queue[T], n: int) -> bool:
        """Take as many items as there are, at most `n`; return whether there was one."""
        while len(items) < n and owner._qsize():
            # In one expression, so that a signal is seen to before or after both.
            items.append(owner._get())
            self.not_full.notify()
        if not items and self.is_shutdown:
            raise ShutDown
        return bool(items)


def _keep(items: list[Any], error: BaseException) -> None:
    """Raise what came after the first items were taken, unless the next call will meet it again."""
    if items and isinstance(error, Exception):
        return
    if items:
        error.taken = items  # type: ignore[attr-defined]
    raise error


def deadline_of(timeout: float | None) -> float | None:
    """Count a timeout from now."""
    if timeout is None:
        return None
    if timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    return time.monotonic() + timeout


def _wait(condition: Condition, block: bool, deadline: float | None, failure: type[Exception]) -> None:
    """Wait for a notification until a deadline; raise `failure` when that has passed or waiting is not wanted."""
    if not block:
        raise failure
    if deadline is None:
        condition.wait()
        return
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise failure
    condition.wait(remaining)


async def wait_out_until(notification: AsyncWait, deadline: float | None, failure: type[Exception]) -> None:
    """Wait for a notification until a deadline; raise `failure` when that has passed."""
    if not await wait_out(notification, None if deadline is None else deadline - time.monotonic()):
        raise failure
