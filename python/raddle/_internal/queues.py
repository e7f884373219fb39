"""The queues, for threads and coroutines at once."""

from __future__ import annotations

import sys
import types
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from raddle import _raddle
from raddle._internal import (
    async_queues,
    bound,  # noqa: F401  (what the native half needs of Python)
)
from raddle._internal.async_queues import aget
from raddle._internal.hooked import LATER, Hooked, Later
from raddle._internal.queue_errors import Empty, Full, ShutDown
from raddle._raddle import SimpleQueue

T = TypeVar("T")

__all__ = [
    "LATER",
    "Empty",
    "Full",
    "Hooked",
    "LifoQueue",
    "PriorityQueue",
    "Queue",
    "ShutDown",
    "SimpleQueue",
    "aget",
    "chain",
    "deque",
]

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raddle._internal.primitives import Condition, Lock

    _NativeQueue = _raddle.Queue
else:
    # The native class takes no [T] when a program runs.
    _NativeQueue = types.GenericAlias(_raddle.Queue, (T,))


def _shared(name: str, doc: str) -> Any:
    """Make an attribute of the stdlib's queue. Whoever uses it gets a queue whose items stand in Python."""

    def get(queue: Queue[Any]) -> Any:
        return getattr(queue._hooked(), name)

    def assign(queue: Queue[Any], value: Any) -> None:
        setattr(queue._hooked(), name, value)

    return property(get, assign, doc=doc)


class Queue(_NativeQueue[T]):
    """Items from those who put to those who get, first in, first out.

    Everything is as in the stdlib's `queue.Queue`, and threads and coroutines can use the same queue at once.

        >>> from raddle.queue import Queue
        >>> queue = Queue()
        >>> queue.put("first")
        >>> queue.put("second")
        >>> queue.get()
        'first'
    """

    mutex: Lock = _shared("mutex", "The lock under which the hooks are called.")
    not_empty: Condition = _shared("not_empty", "The condition of those who wait for an item.")
    not_full: Condition = _shared("not_full", "The condition of those who wait for room.")
    all_tasks_done: Condition = _shared(
        "all_tasks_done", "The condition of those who wait for the end of all work."
    )
    queue: Any = _shared("queue", "The items, in the list or deque that the hooks work on.")

    @property
    def unfinished_tasks(self) -> int:
        """How many items were put and not yet reported by `task_done`."""
        return self._unfinished()

    @unfinished_tasks.setter
    def unfinished_tasks(self, count: int) -> None:
        self._hooked().unfinished_tasks = count

    @property
    def is_shutdown(self) -> bool:
        """Whether the queue has been shut down."""
        return self._is_shut_down()

    @is_shutdown.setter
    def is_shutdown(self, shut_down: bool) -> None:
        self._hooked().is_shutdown = shut_down

    async def aget(self, timeout: float | None = None) -> T:
        """Take the next item, in a coroutine; wait while there is none.

        An item is never lost: a task that is cancelled while it waits leaves the item to the next one.

        Args:
            timeout: seconds to wait at most; None for ever.

        Raises:
            Empty: there was none within `timeout`.
            ShutDown: the queue is empty and has been shut down.
        """
        if timeout is None:
            item = self._try_get()
            if not isinstance(item, Later):
                return item
        return await async_queues.aget(self, timeout)

    async def aput(self, item: T, timeout: float | None = None) -> None:
        """Put an item, in a coroutine; wait while the queue is full.

        Args:
            item: what to put.
            timeout: seconds to wait at most; None for ever.

        Raises:
            Full: there was no room within `timeout`.
            ShutDown: the queue has been shut down.
        """
        if timeout is not None or not self._try_put(item):
            await async_queues.aput(self, item, timeout)

    async def aget_many(self, n: int, timeout: float | None = None) -> list[T]:
        """Take as many items as there are, at most `n`, in a coroutine; wait for the first one as `aget` does.

        If a hook is interrupted in the middle, by Ctrl-C for one, the exception has an attribute `taken`: the list of
        the items that were taken before.
        """
        return await async_queues.aget_many(self, n, timeout)

    async def aput_many(self, iterable: Iterable[T], timeout: float | None = None) -> None:
        """Put the items of an iterable, in a coroutine, each as soon as there is room.

        What ends it early, such as `Full`, `ShutDown` or a cancellation, has an attribute `unput`: an iterator over the
        items that were not put.
        """
        await async_queues.aput_many(self, iterable, timeout)

    async def ajoin(self) -> None:
        """Wait, in a coroutine, until the work on all items that were put has been reported by `task_done`."""
        await async_queues.ajoin(self)

    def __aiter__(self) -> async_queues.AsyncItems[T]:
        return async_queues.AsyncItems(self)

    def _init(self, maxsize: int) -> None:  # noqa: ARG002 - for subclasses
        self.queue = deque()

    def _qsize(self) -> int:
        return len(self.queue)

    def _put(self, item: T) -> None:
        self.queue.append(item)

    def _get(self) -> T:
        item: T = self.queue.popleft()
        return item

    if not TYPE_CHECKING:
        __class_getitem__ = classmethod(types.GenericAlias)


class LifoQueue(Queue[T]):
    """A queue that is a stack: last in, first out.

    >>> from raddle.queue import LifoQueue
    >>> stack = LifoQueue()
    >>> stack.put_many("abc")
    >>> stack.get_many(3)
    ['c', 'b', 'a']
    """

    def _init(self, maxsize: int) -> None:  # noqa: ARG002 - for subclasses
        self.queue = []

    def _qsize(self) -> int:
        return len(self.queue)

    def _put(self, item: T) -> None:
        self.queue.append(item)

    def _get(self) -> T:
        item: T = self.queue.pop()
        return item


class PriorityQueue(Queue[T]):
    """A queue whose least item comes out first.

    An item whose comparison raises is not put, or stays: nothing is lost. While an item's own `__lt__` runs, others
    wait; it can't use the queue itself (`RuntimeError`).

        >>> from raddle.queue import PriorityQueue
        >>> queue = PriorityQueue()
        >>> queue.put_many([(2, "later"), (1, "now")])
        >>> queue.get()
        (1, 'now')
    """

    def _init(self, maxsize: int) -> None:  # noqa: ARG002 - for subclasses
        self.queue = []

    def _qsize(self) -> int:
        return len(self.queue)

    def _put(self, item: T) -> None:
        _raddle.heap_push(self.queue, item)

    def _get(self) -> T:
        item: T = _raddle.heap_pop(self.queue)
        return item


for _class in (Queue, LifoQueue, PriorityQueue):
    _class.__module__ = "raddle.queue"

_raddle.bind_queues(sys.modules[__name__])
