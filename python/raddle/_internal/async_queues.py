"""Coroutines that wait for queues, beside threads that do.

A coroutine tries first. When there is nothing to have it stands in the queue's line like a thread, and is woken
through its loop. A wake-up is a permission to try: the item stays in the queue until the coroutine runs and takes it,
between two of its awaits. So when it is cancelled before, the item is still there, and the wake-up goes to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from raddle._internal.async_waits import wait_out
from raddle._internal.hooked import LATER, Hooked, Later, deadline_of, wait_out_until
from raddle._internal.queue_errors import Empty, Full, ShutDown

if TYPE_CHECKING:
    from raddle._internal.queues import Queue
    from raddle._raddle import AsyncWait

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """What items come from."""

    def _try_get(self) -> T_co | Later: ...
    def _wait_for_items(self) -> AsyncWait: ...
    def _is_hooked(self) -> bool: ...
    def _hooked(self) -> Hooked: ...


async def aget(queue: Source[T], timeout: float | None) -> T:
    """Take an item; see `Queue.aget`."""
    deadline = deadline_of(timeout)
    item = queue._try_get()
    if isinstance(item, Later) and not queue._is_hooked():
        item = await _try_until(queue, queue._wait_for_items(), queue._try_get, deadline, Empty)
    if isinstance(item, Later):
        taken: T = await queue._hooked().aget(queue, deadline)
        return taken
    return item


async def aget_many(queue: Queue[T], n: int, timeout: float | None) -> list[T]:
    """Take items; see `Queue.aget_many`."""

    def attempt() -> list[T] | Later:
        try:
            return queue._try_get_many(n)
        except Empty:
            return LATER

    deadline = deadline_of(timeout)
    items = attempt()
    if isinstance(items, Later) and not queue._is_hooked():
        items = await _try_until(queue, queue._wait_for_items(), attempt, deadline, Empty)
    if isinstance(items, Later):
        return await queue._hooked().aget_many(queue, n, deadline)
    return items


async def aput(queue: Queue[T], item: T, timeout: float | None) -> None:
    """Put an item; see `Queue.aput`."""
    deadline = deadline_of(timeout)
    if not queue._try_put(item):
        await _put_later(queue, item, deadline)


async def _put_later(queue: Queue[T], item: T, deadline: float | None) -> None:
    def attempt() -> Later | None:
        return None if queue._try_put(item) else LATER

    done: Later | None = LATER
    if not queue._is_hooked():
        done = await _try_until(queue, queue._wait_for_room(), attempt, deadline, Full)
    if done is LATER:
        await queue._hooked().aput(queue, item, deadline)


async def aput_many(queue: Queue[T], iterable: Iterable[T], timeout: float | None) -> None:
    """Put items; see `Queue.aput_many`."""
    deadline = deadline_of(timeout)
    iterator = iter(iterable)
    # The item that is not put, and only that, whenever a signal comes: the native half changes it as it puts.
    pending: list[T] = []

    def attempt() -> Later | None:
        return None if queue._try_put_many(pending, iterator) else LATER

    try:
        done = attempt()
        if done is LATER and not queue._is_hooked():
            done = await _try_until(queue, queue._wait_for_room(), attempt, deadline, Full)
        while done is LATER:
            await queue._hooked().aput_first(queue, pending, deadline)
            done = attempt()
    except BaseException as error:
        error.unput = chain(pending, iterator)  # type: ignore[attr-defined]
        raise


async def ajoin(queue: Queue[Any]) -> None:
    """Wait for the end of all work; see `Queue.ajoin`."""
    if not queue._is_hooked():
        await wait_out(queue._wait_for_end(), None)
    if queue._is_hooked():
        await queue._hooked().ajoin()


class AsyncItems(Generic[T]):
    """Takes item after item in a coroutine, and ends when the queue is shut down and empty."""

    __slots__ = ("_queue",)

    def __init__(self, queue: Queue[T]) -> None:
        self._queue = queue

    def __aiter__(self) -> AsyncItems[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self._queue.aget()
        except ShutDown:
            raise StopAsyncIteration from None


async def _try_until(
    queue: Source[Any],
    wait: AsyncWait,
    attempt: Callable[[], T | Later],
    deadline: float | None,
    failure: type[Exception],
) -> T | Later:
    """Try again after each wake-up until it succeeds; `LATER` when the items have become Python's meanwhile.

    Raises:
        Exception: `failure`, when the deadline has passed.
    """
    while True:
        await wait_out_until(wait, deadline, failure)
        try:
            result = attempt()
        except BaseException:
            wait.pass_on()
            raise
        if not isinstance(result, Later):
            return result
        if queue._is_hooked():
            wait.pass_on()
            return result
