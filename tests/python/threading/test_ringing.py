"""A task is woken, whatever happens to the one who wakes it."""

from __future__ import annotations

import asyncio
import threading as stdlib
from collections.abc import Callable
from typing import Any

import pytest

from raddle.threading import Lock
from tests.python.futures.support import LONG, run_program
from tests.python.threading.support import Running


class Alarm(Exception):
    """What somebody sends to the thread that rings."""


class Disturbed(asyncio.SelectorEventLoop):
    """A loop in which something happens to those who ring."""

    disturb: Callable[[], None] | None = None

    def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> asyncio.Handle:
        if self.disturb is not None:
            self.disturb()
        return super().call_soon_threadsafe(*args, **kwargs)


def waiting_for(lock: Lock, loop: asyncio.AbstractEventLoop) -> Running:
    """Let a task wait for a lock, in a thread of its own."""
    begun = stdlib.Event()

    async def main() -> bool:
        loop.call_soon(begun.set)
        return await lock.acquire_async(LONG)

    running = Running(lambda: loop.run_until_complete(main()))
    assert begun.wait(LONG)
    return running


def test_what_a_signal_handler_raises_while_it_rings_is_raised_afterwards() -> None:
    ended = run_program(
        """
        import asyncio, signal, threading
        from raddle.threading import Lock

        class Alarm(Exception):
            pass

        def handle(*_):
            raise Alarm("at nine")

        class Loop(asyncio.SelectorEventLoop):
            alarms = 0

            def call_soon_threadsafe(self, *args, **kwargs):
                if self.alarms:
                    self.alarms -= 1
                    signal.raise_signal(signal.SIGUSR1)
                return super().call_soon_threadsafe(*args, **kwargs)

        signal.signal(signal.SIGUSR1, handle)
        lock, loop, begun, results = Lock(), Loop(), threading.Event(), []

        async def main():
            loop.call_soon(begun.set)
            return await lock.acquire_async(20)

        for alarms in (1, 3):
            lock.acquire()
            begun.clear()
            thread = threading.Thread(target=lambda: results.append(loop.run_until_complete(main())))
            thread.start()
            begun.wait()
            loop.alarms = alarms
            try:
                lock.release()
                for _ in range(1000):
                    pass
            except Alarm as alarm:
                print(alarm, alarm.__traceback__.tb_next is not None)
            thread.join()
            lock.release()
        print(results)
        """
    )
    assert (ended.err, ended.out.splitlines()) == ("", ["at nine True"] * 2 + ["[True, True]"])


def test_what_is_sent_to_a_thread_while_it_rings_is_raised_afterwards() -> None:
    lock, loop = Lock(), Disturbed()
    lock.acquire()
    waiting = waiting_for(lock, loop)

    def disturb() -> None:
        loop.disturb = None
        raise Alarm

    def release() -> None:
        loop.disturb = disturb
        lock.release()
        for _ in range(1000):
            pass

    with pytest.raises(Alarm):
        Running(release).result()
    assert waiting.result()
    loop.close()


def test_one_without_room_on_the_stack_wakes_a_task() -> None:
    ended = run_program(
        """
        import asyncio, sys, threading, time
        from raddle.threading import Lock

        lock, loop = Lock(), asyncio.new_event_loop()

        async def main(begun):
            loop.call_soon(begun.set)
            start = time.monotonic()
            got = await lock.acquire_async(30)
            lock.release()
            return got and time.monotonic() - start < 20

        def deep(depth):
            if depth:
                deep(depth - 1)
            else:
                lock.release()

        released = 0
        for depth in range(sys.getrecursionlimit() - 20, sys.getrecursionlimit() + 20):
            lock.acquire()
            begun = threading.Event()
            results = []
            thread = threading.Thread(target=lambda: results.append(loop.run_until_complete(main(begun))))
            thread.start()
            begun.wait()
            try:
                deep(depth)
                released += 1
            except RecursionError:
                lock.release()
            thread.join()
            assert results == [True], depth
        print(0 < released < 40)
        """
    )
    assert (ended.err, ended.out.split()) == ("", ["True"])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_broken_loop_refuses_goes_to_the_next() -> None:
    lock, loop = Lock(), Disturbed()
    lock.acquire()

    async def main() -> None:
        waiting = asyncio.create_task(lock.acquire_async())
        await asyncio.sleep(0)
        thread = Running(lock.acquire).until_asleep()

        def disturb() -> None:
            raise ValueError("broken")

        loop.disturb = disturb
        Running(lock.release).result()
        loop.disturb = None
        assert thread.result()
        waiting.cancel()

    loop.run_until_complete(main())
    loop.close()
