"""Tasks that are left in their waits: nothing of them stays, and what they were given goes to others."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from raddle import _raddle
from raddle.queue import Queue
from raddle.threading import Condition, Event, Latch, Lock, RLock, RWLock, Semaphore
from tests.python.futures.support import LONG, until
from tests.python.threading.support import Running


def held(lock: Any) -> Any:
    assert lock.acquire()
    return lock


def held_to_write() -> RWLock:
    lock = RWLock()
    # Not by this thread, which would read while it writes.
    Running(lock.acquire_write).result()
    return lock


async def wait_notified(condition: Condition) -> None:
    async with condition:
        await condition.wait_async()


WAITS: dict[str, tuple[Callable[[], Any], Callable[[Any], Awaitable[Any]]]] = {
    "Lock": (lambda: held(Lock()), lambda lock: lock.acquire_async()),
    "fair Lock": (lambda: held(Lock(fair=True)), lambda lock: lock.acquire_async()),
    "timed Lock": (lambda: held(Lock()), lambda lock: lock.acquire_async(LONG)),
    "RLock": (lambda: held(RLock()), lambda lock: lock.acquire_async()),
    "read side": (held_to_write, lambda lock: lock.read().acquire_async()),
    "write side": (held_to_write, lambda lock: lock.write().acquire_async()),
    "Semaphore": (lambda: Semaphore(0), lambda semaphore: semaphore.acquire_async()),
    "Event": (Event, lambda event: event.wait_async()),
    "Latch": (lambda: Latch(1), lambda latch: latch.wait_async()),
    "Condition": (Condition, wait_notified),
    "Queue": (Queue, lambda queue: queue.aget()),
}


@pytest.fixture(autouse=True)
def no_complaints() -> Iterator[None]:
    """The event loop logs each pending task that goes."""
    logger = logging.getLogger("asyncio")
    logger.disabled = True
    yield
    logger.disabled = False


def wait_once(loop: asyncio.AbstractEventLoop, main: Awaitable[Any]) -> asyncio.Task[Any]:
    """Begin a task and run the loop until it waits."""

    async def begin() -> Any:
        return await main

    task = loop.create_task(begin())
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))
    assert not task.done()
    return task


def noted() -> int:
    return sum(task is not None for _, task, _, _ in _raddle.waits())


@pytest.mark.parametrize(("make", "wait"), WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_a_task_goes_with_its_loop(
    make: Callable[[], Any], wait: Callable[[Any], Awaitable[Any]], closed: bool, kept: bool
) -> None:
    loop, primitive = asyncio.new_event_loop(), make()
    task = wait_once(loop, wait(primitive))
    assert noted() == 1
    gone = [weakref.ref(task), weakref.ref(loop)]
    if not kept:
        gone.append(weakref.ref(primitive))
        del primitive
    del task
    if closed:
        loop.close()
    del loop
    with contextlib.nullcontext() if closed else pytest.warns(ResourceWarning, match="unclosed event loop"):
        gc.collect()
    assert [reference() for reference in gone] == [None] * len(gone)
    assert noted() == 0


def test_a_task_that_nobody_else_knows_waits_on_as_long_as_its_loop_runs() -> None:
    lock, done = held(Lock()), []

    async def use() -> None:
        async with lock:
            done.append(True)

    async def main() -> None:
        asyncio.create_task(use())  # noqa: RUF006
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        assert noted() == 1
        lock.release()
        await asyncio.sleep(0.01)
        assert done

    asyncio.run(main())
    assert noted() == 0


@pytest.mark.parametrize("fair", [False, True])
@pytest.mark.parametrize("referred_to", [False, True])
def test_what_lies_in_a_loop_when_it_is_closed_goes_to_the_next(fair: bool, referred_to: bool) -> None:
    lock, loop = held(Lock(fair=fair)), asyncio.new_event_loop()
    task = wait_once(loop, lock.acquire_async())
    thread = Running(lock.acquire).until_asleep()
    lock.release()
    if not referred_to:
        del task
    loop.close()
    assert thread.result()
    lock.release()
    assert lock.acquire(False)
    assert noted() == 0


def test_what_many_tasks_of_a_closed_loop_were_to_get_goes_to_the_next() -> None:
    lock, loop = held(Lock(fair=True)), asyncio.new_event_loop()
    tasks = [loop.create_task(lock.acquire_async()) for _ in range(2000)]
    loop.run_until_complete(asyncio.sleep(0))
    thread = Running(lock.acquire).until_asleep()
    lock.release()
    loop.close()
    assert thread.result()
    assert noted() == 0
    del tasks


def test_what_lies_in_a_loop_that_nobody_knows_goes_to_the_next() -> None:
    lock, loop = held(Lock(fair=True)), asyncio.new_event_loop()
    wait_once(loop, lock.acquire_async())
    thread = Running(lock.acquire).until_asleep()
    lock.release()
    del loop
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        gc.collect()
    assert thread.result()


def test_a_notification_that_lies_in_a_closed_loop_goes_to_the_next() -> None:
    condition, loop = Condition(), asyncio.new_event_loop()
    wait_once(loop, wait_notified(condition))

    def wait() -> bool:
        with condition:
            return condition.wait(LONG)

    thread = Running(wait)
    until(lambda: len(condition._waiters) == 2)
    with condition:
        condition.notify()
    loop.close()
    assert thread.result()


@pytest.mark.parametrize("make", [Lock, RLock, lambda: RWLock().read(), lambda: RWLock().write()])
@pytest.mark.parametrize("ended", [True, False])
def test_a_lock_that_a_task_holds_goes_with_it(make: Callable[[], Any], ended: bool) -> None:
    lock = make()
    gone = [weakref.ref(lock)]

    async def hold(lock: Any) -> Any:
        await lock.acquire_async()
        if not ended:
            await asyncio.get_running_loop().create_future()
        return lock

    loop = asyncio.new_event_loop()
    task = loop.create_task(hold(lock))
    loop.run_until_complete(asyncio.sleep(0))
    gone += [weakref.ref(task), weakref.ref(loop)]
    loop.close()
    del task, lock, loop
    gc.collect()
    assert [reference() for reference in gone] == [None] * 3


@pytest.mark.parametrize("make", [Condition, lambda: Condition(Lock())])
def test_a_task_that_is_collected_while_it_waits_leaves_the_conditions_lock_free(
    make: Callable[[], Condition],
) -> None:
    condition, loop = make(), asyncio.new_event_loop()
    wait_once(loop, wait_notified(condition))
    loop.close()
    del loop
    gc.collect()
    assert not condition.locked()
    assert len(condition._waiters) == 0


@pytest.mark.parametrize("make", [Lock, RLock, lambda: RWLock().read(), lambda: RWLock().write()])
def test_a_coroutine_that_is_closed_gives_back_what_its_task_holds(make: Callable[[], Any]) -> None:
    lock = make()

    async def hold() -> None:
        async with lock:
            await asyncio.get_running_loop().create_future()

    loop = asyncio.new_event_loop()
    task = wait_once(loop, hold())
    if not isinstance(lock, Lock):
        with pytest.raises(RuntimeError):
            lock.release()
    loop.close()
    coroutine: Any = task.get_coro()
    coroutine.close()
    assert not lock.locked()


def test_an_ended_task_goes_with_the_locks_that_it_holds() -> None:
    locks: list[Any] = [RLock(), RWLock().read()]

    async def hold() -> weakref.ref[Any]:
        for lock in locks:
            await lock.acquire_async()
        current = asyncio.current_task()
        assert current is not None
        return weakref.ref(current)

    reference = asyncio.run(hold())
    while locks:
        gc.collect()
        assert reference() is not None
        locks.pop()
    gc.collect()
    assert reference() is None
