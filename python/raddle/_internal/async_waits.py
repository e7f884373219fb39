"""Coroutines that wait for Raddle's primitives, beside threads that do.

The native `AsyncWait` stands in the primitive's queue. It is asked to attempt, and when that fails, a future of the
loop is done as soon as it is woken: from any thread, by `ring`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from raddle._raddle import AsyncWait, Condition

T = TypeVar("T")


class Awaitable(Protocol):
    """What coroutines can wait for."""

    def _async_wait(self) -> AsyncWait | None:
        """Return a wait that has not begun; None when what is waited for is there, and has been taken."""


def ring(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> bool:
    """Have a loop call something soon, from any thread.

    Returns:
        False when the loop has been closed.
    """
    try:
        if asyncio._get_running_loop() is loop and asyncio.current_task(loop) is not None:
            # A step of one of its tasks wakes another: the loop looks at what is ready before it sleeps again.
            loop.call_soon(call)
        else:
            loop.call_soon_threadsafe(call)
    except RuntimeError:
        # Not every one tells that the loop is closed: the recursion limit is another.
        if not loop.is_closed():
            raise
        return False
    # When it was closed in between, nobody looks at the call any more.
    return not loop.is_closed()


def _waits_in(loop: asyncio.AbstractEventLoop) -> set[AsyncWait]:
    """Return the set that keeps the waits in a loop, and so their tasks, for as long as the loop exists."""
    waits: set[AsyncWait]
    try:
        waits = loop._raddle_waits  # type: ignore[attr-defined]
    except AttributeError:
        waits = set()
        try:
            loop._raddle_waits = waits  # type: ignore[attr-defined]
        except AttributeError:
            waits = _waits_elsewhere
    return waits


_waits_elsewhere: set[AsyncWait] = set()
"""For loops that take no attributes: until the waits are over."""


async def wait_async(primitive: Awaitable, timeout: float | None) -> bool:
    """Wait for a primitive; True when it was had within `timeout` seconds (None: whenever that is)."""
    wait = primitive._async_wait()
    return True if wait is None else await wait_out(wait, timeout)


async def enter_async(wait: AsyncWait) -> None:
    """Wait without a deadline."""
    await wait_out(wait, None)


async def wait_out(wait: AsyncWait, timeout: float | None) -> bool:
    """Wait until it is had or the time has passed. Cancelled at any point, it leaves nothing behind."""
    if wait.attempt():
        return True
    if timeout is not None and timeout <= 0:
        return wait.abandon()
    loop = asyncio.get_running_loop()
    kept = _waits_in(loop)
    timer = None if timeout is None else loop.call_later(timeout, wait.expire)
    try:
        kept.add(wait)
        while True:
            arrival: asyncio.Future[None] = loop.create_future()
            wait.arm(arrival)
            await arrival
            if wait.attempt():
                return True
            if wait.expired:
                return wait.abandon()
    except BaseException:
        wait.pass_on()
        raise
    finally:
        kept.discard(wait)
        if timer is not None:
            timer.cancel()


async def wait_notified(condition: Condition, timeout: float | None) -> bool:
    """Let go of the condition's lock, wait to be notified, and take the lock again, whatever happens."""
    notification, lock = condition._async_waits()
    notified = False
    try:
        notified = await wait_out(notification, timeout)
    except GeneratorExit:
        # The coroutine is closed and can't wait any more.
        if not lock.attempt():
            lock.pass_on()
        raise
    except BaseException:
        await _regain(lock)
        raise
    try:
        await _regain(lock)
    except BaseException:
        if notified:
            condition._notify_another()
        raise
    return notified


async def _regain(lock: AsyncWait) -> None:
    """Take a lock, and be cancelled only afterwards."""
    cancelled = None
    while True:
        try:
            await wait_out(lock, None)
        except asyncio.CancelledError as error:
            cancelled = error
        else:
            break
    if cancelled is not None:
        raise cancelled


async def wait_until(condition: Condition, predicate: Callable[[], T], timeout: float | None) -> T:
    """Wait until the predicate is true; returns its last result, true or not."""
    deadline = None
    left = timeout
    while True:
        result = predicate()
        if result:
            return result
        if timeout is not None:
            now = time.monotonic()
            if deadline is None:
                deadline = now + timeout
            elif (left := deadline - now) <= 0:
                return result
        await wait_notified(condition, left)
