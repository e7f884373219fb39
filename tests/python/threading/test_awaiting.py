"""The primitives, awaited: coroutines of one loop or of several, beside threads."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading as stdlib
import time
import warnings
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from raddle import _raddle
from raddle.threading import (
    Condition,
    DeadlockError,
    DeadlockWarning,
    Event,
    Latch,
    Lock,
    RLock,
    RWLock,
    Semaphore,
)
from tests.python.futures.support import LONG, run_program, until
from tests.python.threading.support import Running

T = TypeVar("T")

LOCKS: dict[str, Callable[[], Any]] = {
    "Lock": Lock,
    "fair Lock": lambda: Lock(fair=True),
    "RLock": RLock,
    "fair RLock": lambda: RLock(fair=True),
    "Semaphore": Semaphore,
    "fair Semaphore": lambda: Semaphore(fair=True),
    "Condition": Condition,
    "Condition of a Lock": lambda: Condition(Lock()),
    "write side": lambda: RWLock().write(),
    "fair write side": lambda: RWLock(fair=True).write(),
}


@pytest.fixture(params=LOCKS.values(), ids=LOCKS)
def lock(request: pytest.FixtureRequest) -> Any:
    return request.param()


def waiting_tasks() -> list[Any]:
    """What is waited for by tasks of the calling thread's loop."""
    me = stdlib.get_ident()
    return [wanted for ident, task, wanted, _ in _raddle.waits() if ident == me and task is not None]


def run(main: Coroutine[Any, Any, T], debug: bool | None = None) -> T:
    """Run a coroutine in a loop of its own; nothing of it may be left waiting."""
    result = asyncio.run(asyncio.wait_for(main, LONG), debug=debug)
    assert waiting_tasks() == []
    return result


@contextmanager
def held_by_a_thread(lock: Any) -> Iterator[Callable[[], None]]:
    """Let a thread hold a lock until the function is called, at the latest until the block's end."""
    held, done = stdlib.Event(), stdlib.Event()

    def hold() -> None:
        with lock:
            held.set()
            assert done.wait(LONG)

    holding = Running(hold)
    assert held.wait(LONG)
    try:
        yield done.set
    finally:
        done.set()
        holding.result()


async def settle() -> None:
    """Let all other tasks go on until they wait."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_one_task_at_a_time_holds_it(lock: Any) -> None:
    inside = 0

    async def visit() -> None:
        nonlocal inside
        for _ in range(20):
            async with lock:
                inside += 1
                await asyncio.sleep(0)
                assert inside == 1
                inside -= 1

    async def main() -> None:
        await asyncio.gather(*(visit() for _ in range(20)))

    run(main())
    assert lock.acquire(False)


def test_threads_and_tasks_of_two_loops_share_it(lock: Any) -> None:
    inside, visits = 0, 0

    def visit() -> None:
        nonlocal inside, visits
        inside += 1
        assert inside == 1
        visits += 1
        inside -= 1

    async def visit_often() -> None:
        for _ in range(50):
            async with lock:
                visit()
                if random.random() < 0.2:
                    await asyncio.sleep(0)

    async def tasks() -> None:
        await asyncio.gather(*(visit_often() for _ in range(5)))

    def thread() -> None:
        for _ in range(50):
            with lock:
                visit()

    running = [Running(lambda: run(tasks())) for _ in range(2)] + [Running(thread) for _ in range(3)]
    for one in running:
        one.result()
    assert visits == 50 * 13
    assert lock.acquire(False)


def test_acquire_async_tells_whether_it_got_it_in_time(lock: Any) -> None:
    async def main() -> None:
        assert await lock.acquire_async() is True

        async def other() -> list[bool]:
            start = time.monotonic()
            got = [await lock.acquire_async(timeout) for timeout in (0, -1, 0.02)]
            assert time.monotonic() - start >= 0.02
            return got

        assert await asyncio.create_task(other()) == [False, False, False]
        lock.release()
        assert await lock.acquire_async(timeout=0)
        lock.release()
        for bad, error in (("1", TypeError), (float("nan"), ValueError), (1e300, OverflowError)):
            with pytest.raises(error):
                lock.acquire_async(bad)

    run(main())


def test_a_release_in_a_thread_wakes_a_task(lock: Any) -> None:
    async def main() -> None:
        with held_by_a_thread(lock) as release:
            waiting = asyncio.create_task(lock.acquire_async())
            await settle()
            assert not waiting.done()
            assert len(waiting_tasks()) == 1
            release()
            assert await waiting

    run(main())


def test_a_cancelled_wait_takes_nothing_along(lock: Any) -> None:
    async def main() -> None:
        await lock.acquire_async()
        waiting = [asyncio.create_task(lock.acquire_async()) for _ in range(3)]
        await settle()
        waiting[0].cancel()
        await settle()
        # The second one is cancelled between being woken and going on.
        lock.release()
        waiting[1].cancel()
        assert await waiting[2]
        assert waiting[0].cancelled()
        assert waiting[1].cancelled()

    run(main())


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_cancellations_loses_nothing(lock: Any, seed: int) -> None:
    chance = random.Random(seed)
    inside = 0
    stop = stdlib.Event()

    async def visit() -> None:
        nonlocal inside
        async with lock:
            inside += 1
            try:
                await asyncio.sleep(0)
                assert inside == 1
            finally:
                inside -= 1

    async def try_to_visit() -> None:
        nonlocal inside
        if await lock.acquire_async(chance.random() / 1000):
            inside += 1
            assert inside == 1
            inside -= 1
            lock.release()

    async def main() -> None:
        for _ in range(30):
            tasks = [asyncio.create_task(chance.choice((visit, try_to_visit))()) for _ in range(20)]
            for _ in range(30):
                await asyncio.sleep(0)
                chance.choice(tasks).cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome
        stop.set()

    def thread() -> None:
        nonlocal inside
        while not stop.is_set():
            with lock:
                inside += 1
                assert inside == 1
                inside -= 1

    threads = [Running(thread)]
    # In its debug mode the loop looks at a dozen files for each call, and lets go of the interpreter for each: five
    # milliseconds beside a thread that never rests.
    run(main(), debug=False)
    for one in threads:
        one.result()
    assert lock.acquire(False)


def test_a_task_whose_loop_is_gone_passes_it_on(lock: Any) -> None:
    loop = asyncio.new_event_loop()
    gone: list[asyncio.Task[Any]] = []

    async def wait() -> None:
        gone.append(asyncio.create_task(lock.acquire_async()))
        await settle()

    with held_by_a_thread(lock) as release:
        loop.run_until_complete(wait())
        loop.close()
        waiting = Running(lock.acquire).until_asleep()
        release()
        assert waiting.result()
    gone[0].get_coro().close()  # type: ignore[union-attr]
    gone[0]._log_destroy_pending = False  # type: ignore[attr-defined]
    assert waiting_tasks() == []


def test_a_plain_lock_may_be_released_by_anybody() -> None:
    async def main() -> None:
        lock = Lock()
        await lock.acquire_async()
        task = asyncio.current_task()
        assert lock._holder() == [(stdlib.get_ident(), id(task))]
        await asyncio.get_running_loop().run_in_executor(None, lock.release)
        assert not lock.locked()
        lock.acquire()
        assert lock._holder() == [(stdlib.get_ident(), None)]
        lock.release()

    run(main())


@pytest.mark.parametrize("make", [RLock, Condition])
def test_a_reentrant_lock_belongs_to_the_task(make: Callable[[], Any]) -> None:
    async def main() -> None:
        lock = make()
        async with lock, lock:
            assert lock._is_owned()
            # In the task, blocking calls count as the task's.
            with lock:
                assert lock.acquire(False)
                lock.release()

            async def other() -> None:
                assert not lock._is_owned()
                assert not lock.acquire(False)
                with pytest.raises(RuntimeError, match="un-acquired"):
                    lock.release()

            await asyncio.create_task(other())
            with pytest.raises(RuntimeError, match="un-acquired"):
                await asyncio.get_running_loop().run_in_executor(None, lock.release)
        assert not lock._is_owned()
        assert lock.acquire(False)

    run(main())


@pytest.mark.slow
@pytest.mark.parametrize("make", [RLock, Condition, lambda: RWLock().write()])
def test_nobody_else_releases_it_whatever_moment_he_tries(make: Callable[[], Any]) -> None:
    """Least of all while a step of the task ends: then its coroutine ran just now, and the loop runs no task."""
    refused, over = 0, False

    async def main() -> None:
        nonlocal over
        lock = make()

        def release() -> None:
            nonlocal refused
            while not over:
                try:
                    lock.release()
                except RuntimeError:
                    refused += 1
                else:
                    pytest.fail("released by a stranger")

        async with lock:
            stranger = Running(release)
            while refused < 300_000 and stranger.thread.is_alive():
                for _ in range(random.randrange(2000)):
                    pass  # that they do not go in step
                await asyncio.sleep(0)
            over = True
            stranger.result()
            assert lock.locked()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        run(main())
    finally:
        sys.setswitchinterval(before)


def test_blocking_on_what_a_task_of_ones_own_loop_holds_is_a_deadlock() -> None:
    async def main() -> None:
        reentrant, plain, shared = RLock(), Lock(), RWLock()

        async def hold() -> None:
            async with reentrant, plain, shared.read():
                await asyncio.sleep(LONG)

        holding = asyncio.create_task(hold())
        await settle()
        with pytest.raises(DeadlockError):
            reentrant.acquire()
        with pytest.raises(DeadlockError):
            shared.acquire_write()
        # Another thread could release this one.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            releasing = Running(lambda: (until(lambda: caught), plain.release()))
            plain.acquire()
        assert caught[0].category is DeadlockWarning
        releasing.result()
        holding.cancel()
        plain.release()
        with pytest.raises(RuntimeError):
            await holding

    run(main())


def test_who_waits_is_kept_as_long_as_it_holds_something() -> None:
    """A task's address is its name: another one must not get it."""
    lock = RLock()

    async def acquire() -> None:
        await lock.acquire_async()

    async def main() -> None:
        task = asyncio.create_task(acquire())
        await task
        reference = weakref.ref(task)
        del task
        await settle()
        gc.collect()
        assert reference() is not None
        others = [asyncio.create_task(lock.acquire_async(0)) for _ in range(100)]
        assert not any(await asyncio.gather(*others))
        lock._at_fork_reinit()
        del others
        await settle()
        gc.collect()
        assert reference() is None

    run(main())


def test_events_and_latches_are_awaited_by_their_names() -> None:
    async def main() -> None:
        event, latch = Event(), Latch(2)

        async def wait(for_what: Awaitable[bool]) -> bool:
            return await for_what

        waiting = [asyncio.create_task(wait(one)) for one in (event, latch, event, latch)]
        await settle()
        assert not await event.wait_async(0.01)
        assert not await latch.wait_async(0.01)
        assert not await event.wait_async(0)
        Running(event.set)
        Running(latch.count_down, 2)
        assert await asyncio.gather(*waiting) == [True] * 4
        assert await event
        assert await latch
        assert await event.wait_async(0)

    run(main())


def test_one_event_wakes_threads_and_tasks_of_several_loops() -> None:
    event = Event()

    async def wait() -> int:
        return sum(await asyncio.gather(*(event.wait_async(LONG) for _ in range(50))))

    waiting = [Running(lambda: run(wait())) for _ in range(2)]
    threads = [Running(event.wait, LONG) for _ in range(5)]
    for one in [*waiting, *threads]:
        one.until_asleep()
    event.set()
    event.clear()
    assert [one.result() for one in waiting] == [50, 50]
    assert all(one.result() for one in threads)


def test_a_fair_semaphore_gives_to_threads_and_tasks_in_turn() -> None:
    order: list[str] = []
    semaphore = Semaphore(0, fair=True)

    async def take(name: str) -> None:
        await semaphore.acquire_async()
        order.append(name)
        semaphore.release()

    def take_in_thread(name: str) -> None:
        with semaphore:
            order.append(name)

    async def main() -> None:
        first = asyncio.create_task(take("task"))
        await settle()
        second = Running(take_in_thread, "thread")
        await asyncio.get_running_loop().run_in_executor(None, second.until_asleep)
        third = asyncio.create_task(take("last"))
        await settle()
        semaphore.release()
        await asyncio.gather(first, third)
        await asyncio.get_running_loop().run_in_executor(None, second.result)

    run(main())
    assert order == ["task", "thread", "last"]


@pytest.mark.parametrize(
    "make", [Condition, lambda: Condition(Lock()), lambda: Condition(type("R", (RLock,), {})())]
)
def test_threads_and_tasks_wait_for_one_condition(make: Callable[[], Condition]) -> None:
    condition, items, taken = make(), [], []

    async def take() -> None:
        async with condition:
            await condition.wait_for_async(lambda: items)
            taken.append(items.pop())

    def take_in_thread() -> None:
        with condition:
            condition.wait_for(lambda: items, LONG)
            taken.append(items.pop())

    async def tasks() -> None:
        await asyncio.gather(*(take() for _ in range(20)))

    async def give() -> None:
        for item in range(20):
            async with condition:
                items.append(item)
                condition.notify()

    waiting = [Running(lambda: run(tasks()))] + [Running(take_in_thread) for _ in range(20)]
    until(lambda: len(condition._waiters) == 40)
    run(give())
    for item in range(20):
        with condition:
            items.append(item)
            condition.notify()
    for one in waiting:
        one.result()
    assert sorted(taken) == sorted([*range(20), *range(20)])


def test_a_condition_is_waited_for_with_its_lock_held_by_the_task() -> None:
    async def main() -> None:
        condition = Condition()
        with pytest.raises(RuntimeError, match="not acquired"):
            await condition.wait_async()
        with condition, pytest.raises(RuntimeError, match="not acquired"):
            await condition.wait_async()
        async with condition, condition:
            assert not await condition.wait_async(0.01)
            assert not await condition.wait_async(0)
            assert condition._lock._recursion_count() == 2
            assert await condition.wait_for_async(lambda: 0, 0.01) == 0
            assert await condition.wait_for_async(lambda: "ready") == "ready"
            with pytest.raises(ZeroDivisionError):
                await condition.wait_for_async(lambda: 1 / 0)
            assert condition._is_owned()
        foreign = Condition(stdlib.Lock())
        with pytest.raises(TypeError, match="can't be awaited"):
            await foreign.acquire_async()
        assert len(condition._waiters) == 0

    run(main())


@pytest.mark.parametrize("make", [Condition, lambda: Condition(Lock())])
def test_a_cancelled_wait_for_a_condition_holds_the_lock_and_hands_on(make: Callable[[], Condition]) -> None:
    async def main() -> None:
        condition, held = make(), []

        async def wait() -> bool:
            async with condition:
                try:
                    return await condition.wait_async()
                finally:
                    held.append(condition.locked())
                    await asyncio.sleep(0)

        waiting = [asyncio.create_task(wait()) for _ in range(3)]
        await settle()
        waiting[0].cancel()
        await settle()
        assert waiting[0].cancelled()
        async with condition:
            condition.notify()
            await settle()
            # It was notified and waits for the lock.
            waiting[1].cancel()
            waiting[1].cancel()
            await settle()
            assert not waiting[1].done()
        assert await waiting[2], "the notification went to the next"
        assert waiting[1].cancelled()
        assert held == [True] * 3
        assert not condition.locked()

    run(main())


def test_a_coroutine_that_is_closed_in_its_wait_leaves_the_queue() -> None:
    event, condition = Event(), Condition()

    async def main() -> None:
        coroutine = event.wait_async()
        coroutine.send(None)
        assert waiting_tasks() == [event]
        coroutine.close()
        assert waiting_tasks() == []

        async def wait() -> None:
            async with condition:
                await condition.wait_async()

        waiting = wait()
        waiting.send(None)
        assert len(condition._waiters) == 1
        waiting.close()
        assert len(condition._waiters) == 0
        assert not condition.locked()

    run(main())


def test_coroutines_that_one_task_drives_may_end_in_any_order() -> None:
    async def main() -> None:
        first, second = Event(), Event()
        coroutines = [first.wait_async(), second.wait_async()]
        for coroutine in coroutines:
            coroutine.send(None)
        coroutines[0].close()
        assert waiting_tasks() == [second]
        coroutines[1].close()
        assert waiting_tasks() == []

    run(main())


def test_readers_and_writers_may_be_tasks() -> None:
    lock = RWLock()

    async def main() -> None:
        inside = 0

        async def read() -> None:
            nonlocal inside
            async with lock.read():
                async with lock.read():
                    inside += 1
                    await asyncio.sleep(0)
                inside -= 1

        async def write() -> None:
            async with lock.write():
                assert inside == 0
                await asyncio.sleep(0)
                assert inside == 0
                with pytest.raises(RuntimeError, match="downgrade"):
                    await lock.read().acquire_async()
                with pytest.raises(RuntimeError, match="holds the lock already"):
                    await lock.write().acquire_async()
            async with lock.read():
                with pytest.raises(RuntimeError, match="holds the lock already"):
                    await lock.write().acquire_async()

        await asyncio.gather(*(function() for function in [read, read, write] * 10))
        await lock.write().acquire_async()
        lock.downgrade()
        assert lock._holder() == [(stdlib.get_ident(), id(asyncio.current_task()))]
        lock.release_read()

    run(main())
    assert lock.acquire_write(False)


def test_a_reading_task_leaves_its_threads_reading_alone() -> None:
    lock = RWLock()

    async def read_as_thread(left: asyncio.Event) -> None:
        with lock.read():
            await left.wait()
            assert lock._holder() == [(stdlib.get_ident(), None)]

    async def read_as_task() -> None:
        async with lock.read():
            assert (stdlib.get_ident(), id(asyncio.current_task())) in lock._holder()
            await asyncio.sleep(0)

    async def main() -> None:
        left = asyncio.Event()
        tasks = [asyncio.create_task(read_as_thread(left)), asyncio.create_task(read_as_task())]
        await tasks[1]
        left.set()
        await tasks[0]
        assert not lock.locked()
        # In one task, each block ends what it has begun.
        async with lock.read():
            with lock.read():
                assert len(lock._holder()) == 2
            assert lock._holder() == [(stdlib.get_ident(), id(asyncio.current_task()))]

    run(main())
    assert lock.acquire_write(False)


def test_it_must_be_awaited_in_a_task() -> None:
    lock = Lock()
    with pytest.raises(RuntimeError, match="outside of an asyncio task"):
        lock.acquire_async().send(None)
    with pytest.raises(RuntimeError, match="outside of an asyncio task"):
        Event().__await__().send(None)
    lock.acquire()


def test_waiting_tasks_are_listed() -> None:
    async def main() -> None:
        event = Event()
        task = asyncio.create_task(event.wait_async())
        await settle()
        assert (stdlib.get_ident(), task, event, True) in _raddle.waits()
        event.set()
        await task
        assert waiting_tasks() == []

    run(main())


@pytest.mark.parametrize("tasks", [1, 1000])
def test_many_tasks_pass_one_lock_around(tasks: int) -> None:
    lock, count = Lock(fair=True), 0

    async def visit() -> None:
        nonlocal count
        async with lock:
            await asyncio.sleep(0)
            count += 1

    async def main() -> None:
        await asyncio.gather(*(visit() for _ in range(tasks)))

    run(main())
    assert count == tasks


def test_nothing_is_left_of_a_wait() -> None:
    event = Event()

    async def main() -> weakref.ref[Any]:
        task = asyncio.create_task(event.wait_async())
        await settle()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        waiting = asyncio.create_task(event.wait_async(LONG))
        await settle()
        event.set()
        await waiting
        return weakref.ref(task)

    reference = run(main())
    gc.collect()
    assert reference() is None


def test_a_forked_child_has_no_loop_but_can_make_free_what_its_task_held() -> None:
    ended = run_program("""
    import asyncio, os, warnings
    from raddle.threading import Event, Lock, RLock
    warnings.simplefilter("ignore", DeprecationWarning)

    lock, plain, event = RLock(), Lock(), Event()

    async def main():
        waiting = asyncio.create_task(event.wait_async())
        async with lock, plain:
            await asyncio.sleep(0)
            pid = os.fork()
            if pid == 0:
                plain.release()
                lock._at_fork_reinit()
                assert plain.acquire(False) and lock.acquire(False)
                event.set()
                os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        event.set()
        print(await waiting)

    asyncio.run(main())
    """)
    assert (ended.err, ended.out.split()) == ("", ["7", "True"])


def test_ctrl_c_ends_a_loop_that_waits() -> None:
    ended = run_program(
        """
        import asyncio
        from raddle.threading import Lock

        lock = Lock()
        lock.acquire()

        async def main():
            print("ready")
            async with lock:
                pass

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            lock.release()
            print(lock.acquire(False))
        """,
        interrupts=1,
    )
    assert (ended.err, ended.out.split()) == ("", ["ready", "True"])
