"""Deadlocks in which a task holds what is waited for."""

from __future__ import annotations

import asyncio
import threading as stdlib

from raddle.threading import DeadlockError, RLock
from tests.python.futures.support import LONG
from tests.python.threading.support import Running


def test_a_thread_that_no_longer_runs_the_loop_keeps_no_task_from_going_on() -> None:
    held, other = RLock(), RLock()
    loop, go_on = asyncio.new_event_loop(), stdlib.Event()

    async def hold() -> None:
        await held.acquire_async()
        await asyncio.get_running_loop().run_in_executor(None, go_on.wait, LONG)
        held.release()

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(hold())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return task

    def run_for_a_while() -> asyncio.Task[None]:
        return loop.run_until_complete(begin())

    def begin_and_wait() -> asyncio.Task[None]:
        task = run_for_a_while()
        begun.set()
        with other:
            return task

    begun = stdlib.Event()
    other.acquire()
    waiting = Running(begin_and_wait)
    assert begun.wait(LONG)
    waiting.until_asleep()

    def run_on() -> None:
        loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop)))

    running = Running(run_on)
    releasing = stdlib.Timer(0.1, go_on.set)
    releasing.start()
    # The task was begun by a thread that waits for this one. Another thread runs its loop now.
    assert held.acquire()
    other.release()
    for one in (waiting, running):
        one.result()
    releasing.join()
    loop.close()


def test_a_circle_leads_through_the_thread_that_runs_the_loop() -> None:
    first, second = RLock(), RLock()
    held, wanted = stdlib.Event(), stdlib.Event()

    async def hold_and_block() -> None:
        async def hold() -> None:
            async with first:
                await asyncio.sleep(0.01)

        holding = asyncio.create_task(hold())
        await asyncio.sleep(0)
        held.set()
        assert wanted.wait(LONG)
        # The task that holds the first one can't go on meanwhile.
        with second:
            pass
        await holding

    def want() -> None:
        with second:
            assert held.wait(LONG)
            wanted.set()
            with first:
                pass

    circle = [Running(want), Running(lambda: asyncio.run(hold_and_block()))]
    told = []
    for one in circle:
        try:
            one.result()
        except DeadlockError as error:
            told.append(len(error.members))
    assert told == [2]
    assert first.acquire(False)
    assert second.acquire(False)
