"""Threads and coroutines at one queue."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from raddle.queue import Empty, Full, PriorityQueue, Queue, ShutDown, SimpleQueue
from tests.python.futures.support import until_asleep
from tests.python.queue.support import EXPECTED, Crew

Make = Callable[..., Queue[Any]]


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine in a loop, as a whole within the limit of a test."""

    async def limited() -> None:
        await asyncio.wait_for(main(), 60)

    asyncio.run(limited())


async def asleep(task: asyncio.Task[Any]) -> None:
    """Let a task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()


async def in_thread(work: Callable[..., Any], *args: object) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work, *args)


def test_a_coroutine_puts_and_gets(base: type[Queue[Any]], make: Make) -> None:
    async def main() -> None:
        queue = make(3)
        for item in (2, 1, 3):
            await queue.aput(item)
        assert [await queue.aget() for _ in range(3)] == EXPECTED[base]([2, 1, 3])
        await queue.aput_many([1, 2])
        assert await queue.aget_many(5) == EXPECTED[base]([1, 2])

    run(main)


def test_a_thread_wakes_a_coroutine(make: Make) -> None:
    async def main() -> None:
        queue = make(1)
        getter = asyncio.ensure_future(queue.aget())
        await asleep(getter)
        await in_thread(queue.put, 1)
        assert await getter == 1
        queue.put(2)
        putter = asyncio.ensure_future(queue.aput(3))
        await asleep(putter)
        assert await in_thread(queue.get) == 2
        await putter
        batch = asyncio.ensure_future(queue.aput_many([4, 5]))
        await asleep(batch)
        assert await in_thread(lambda: [queue.get() for _ in range(3)]) == [3, 4, 5]
        await batch

    run(main)


def test_a_coroutine_wakes_a_thread(make: Make, crew: Crew) -> None:
    queue = make(1)
    got: list[int] = []
    thread = crew.start(lambda: got.append(queue.get()))
    until_asleep(thread)

    async def main() -> None:
        await queue.aput(1)

    run(main)
    crew.join()
    assert got == [1]


def test_timeouts(make: Make) -> None:
    async def main() -> None:
        queue = make(1)
        for seconds in (0, 0.01):
            with pytest.raises(Empty):
                await queue.aget(timeout=seconds)
            with pytest.raises(Empty):
                await queue.aget_many(2, timeout=seconds)
        await queue.aput(1, timeout=0)
        for seconds in (0, 0.01):
            with pytest.raises(Full):
                await queue.aput(2, timeout=seconds)
            with pytest.raises(Full) as full:
                await queue.aput_many(iter([2, 3]), timeout=seconds)
            assert list(full.value.unput) == [2, 3]  # type: ignore[attr-defined]
        for wrong in (queue.aget(-1), queue.aput(1, -1), queue.aget_many(1, -1)):
            with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
                await wrong
        assert queue.get_many(5) == [1]

    run(main)


def test_join(make: Make) -> None:
    async def main() -> None:
        queue = make()
        await queue.ajoin()
        queue.put(1)
        joiner = asyncio.ensure_future(queue.ajoin())
        await asleep(joiner)
        await in_thread(queue.get)
        await asleep(joiner)
        await in_thread(queue.task_done)
        await joiner

    run(main)


@pytest.mark.parametrize("immediate", [False, True])
def test_a_shutdown_wakes_coroutines(make: Make, immediate: bool) -> None:
    async def main() -> None:
        empty, full = make(1), make(1)
        full.put(0)
        tasks = [asyncio.ensure_future(empty.aget()), asyncio.ensure_future(empty.aget_many(3))]
        tasks += [asyncio.ensure_future(full.aput(1)), asyncio.ensure_future(full.aput_many([1]))]
        for task in tasks:
            await asleep(task)
        await in_thread(empty.shutdown, immediate)
        await in_thread(full.shutdown, immediate)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, ShutDown)
        for late in (empty.aget(), full.aput(1), full.aput_many(iter([2]))):
            with pytest.raises(ShutDown):
                await late

    run(main)


def test_iteration(make: Make, crew: Crew) -> None:
    queue = make(2)

    def produce() -> None:
        queue.put_many(iter(range(50)))
        queue.shutdown()

    async def main() -> None:
        crew.start(produce)
        assert sorted([item async for item in queue]) == list(range(50))
        assert [item async for item in queue] == []

    run(main)


@pytest.mark.parametrize("waits", ["get", "put", "join"])
def test_a_coroutine_goes_on_when_the_items_become_pythons(waits: str, base: type[Queue[Any]]) -> None:
    async def main() -> None:
        queue = base(1)
        if waits != "get":
            queue.put(0)
        wait = {"get": queue.aget, "put": lambda: queue.aput(1), "join": queue.ajoin}[waits]
        task = asyncio.ensure_future(wait())  # type: ignore[no-untyped-call]
        await asleep(task)
        assert not queue.mutex.locked()
        await asleep(task)
        if waits == "get":
            queue.put(5)
            assert await task == 5
        else:
            assert queue.get() == 0
            queue.task_done()
            await task

    run(main)


@pytest.mark.parametrize("wake", ["thread", "task"])
def test_a_cancelled_getter_leaves_its_item_to_the_next(make: Make, wake: str) -> None:
    async def main() -> None:
        queue = make()
        first, second = asyncio.ensure_future(queue.aget()), asyncio.ensure_future(queue.aget())
        await asleep(first)
        await asleep(second)
        if wake == "thread":
            await in_thread(queue.put, 1)
        else:
            queue.put(1)
        # It has been woken, and has not run yet; or it has run in the meantime, which is as good.
        cancelled = first.cancel()
        if cancelled:
            with pytest.raises(asyncio.CancelledError):
                await first
            assert await second == 1
        else:
            assert await first == 1
            second.cancel()
        assert queue.empty()

    run(main)


def test_a_cancelled_putter_leaves_its_room_to_the_next(make: Make) -> None:
    async def main() -> None:
        queue = make(1)
        queue.put(0)
        first, second = asyncio.ensure_future(queue.aput(1)), asyncio.ensure_future(queue.aput(2))
        await asleep(first)
        await asleep(second)
        assert queue.get() == 0
        assert first.cancel()
        await second
        assert queue.get() == 2
        with pytest.raises(asyncio.CancelledError):
            await first
        assert queue.empty()

    run(main)


def test_a_cancelled_batch_tells_what_it_did_not_put(make: Make) -> None:
    async def main() -> None:
        queue = make(2)
        unput: list[int] = []

        async def put() -> None:
            try:
                await queue.aput_many(range(5))
            except asyncio.CancelledError as error:
                unput.extend(error.unput)  # type: ignore[attr-defined]
                raise

        task = asyncio.ensure_future(put())
        await asleep(task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert unput == [2, 3, 4]
        assert sorted(queue.get_many(9)) == [0, 1]

    run(main)


def test_a_storm_of_cancellations_loses_nothing(make: Make, crew: Crew) -> None:
    queue = make(3)
    amount = 400
    got: list[int] = []
    randomness = random.Random(3)

    async def consume() -> None:
        while len(got) < amount:
            task = asyncio.ensure_future(queue.aget())
            await asyncio.sleep(randomness.choice((0, 0, 0, 0.0002)))
            task.cancel()
            try:
                got.append(await task)
            except asyncio.CancelledError:
                pass

    async def main() -> None:
        consumers = [asyncio.ensure_future(consume()) for _ in range(3)]
        while len(got) < amount:
            await asyncio.sleep(0.001)
        for consumer in consumers:
            consumer.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)

    for start in (0, amount // 2):
        crew.start(lambda start: [queue.put(i) for i in range(start, start + amount // 2)], start)
    run(main)
    crew.join()
    assert sorted(got) == list(range(amount))


def test_several_loops_and_threads_share_a_queue(make: Make, crew: Crew) -> None:
    queue = make(4)
    got: list[int] = []

    async def consume() -> None:
        got.extend([item async for item in queue])

    async def produce(start: int) -> None:
        for item in range(start, start + 100):
            await queue.aput(item)

    consumers = [crew.start(run, consume) for _ in range(2)]
    consumers.append(crew.start(lambda: got.extend(queue)))
    producers = Crew()
    for start in (0, 100):
        producers.start(run, lambda start=start: produce(start))
    producers.start(lambda: [queue.put(item) for item in range(200, 300)])
    producers.join()
    queue.shutdown()
    for thread in consumers:
        thread.join(60)
    crew.join()
    assert sorted(got) == list(range(300))


def test_a_wake_up_for_a_closed_loop_goes_to_the_next(make: Make, crew: Crew) -> None:
    queue = make()
    loop = asyncio.new_event_loop()
    abandoned = loop.create_task(queue.aget())
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    got: list[int] = []
    thread = crew.start(lambda: got.append(queue.get()))
    until_asleep(thread)
    queue.put(1)
    crew.join()
    assert got == [1]
    abandoned.get_coro().close()  # type: ignore[union-attr]
    # It would complain that it was destroyed while pending.
    abandoned._log_destroy_pending = False  # type: ignore[attr-defined]


def test_the_priority_of_items_put_by_threads_holds_for_coroutines() -> None:
    async def main() -> None:
        queue: PriorityQueue[tuple[int, str]] = PriorityQueue()
        await in_thread(queue.put_many, [(3, "c"), (1, "a"), (2, "b")])
        assert [await queue.aget() for _ in range(3)] == [(1, "a"), (2, "b"), (3, "c")]

    run(main)


def test_a_comparison_that_raises_in_a_woken_coroutine_leaves_the_items_to_others() -> None:
    class Item:
        fails = False

        def __init__(self, number: int) -> None:
            self.number = number

        def __lt__(self, other: Item) -> bool:
            if Item.fails:
                raise LookupError
            return self.number < other.number

    async def main() -> None:
        queue: PriorityQueue[Item] = PriorityQueue()
        first, second = asyncio.ensure_future(queue.aget()), asyncio.ensure_future(queue.aget_many(9))
        await asleep(first)
        await asleep(second)
        queue.put_many([Item(i) for i in range(5)])
        Item.fails = True
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [LookupError, LookupError]
        Item.fails = False
        assert [item.number for item in await queue.aget_many(9)] == [0, 1, 2, 3, 4]

    run(main)


def test_a_simple_queue_hands_over_to_a_coroutine() -> None:
    async def main() -> None:
        queue: SimpleQueue[int] = SimpleQueue()
        queue.put(0)
        assert await queue.aget() == 0
        with pytest.raises(Empty):
            await queue.aget(timeout=0.01)
        first, second = asyncio.ensure_future(queue.aget()), asyncio.ensure_future(queue.aget())
        await asleep(first)
        await asleep(second)
        queue.put(1)
        assert first.cancel()
        assert await second == 1
        third = asyncio.ensure_future(queue.aget())
        await asleep(third)
        await in_thread(queue.put, 2)
        assert await third == 2

    run(main)


def test_a_loop_blocked_by_nobody_is_quick(make: Make) -> None:
    """No polling: a coroutine that waits costs no time, and is woken at once."""

    async def main() -> None:
        queue = make()
        task = asyncio.ensure_future(queue.aget())
        await asleep(task)
        spent = time.process_time()
        await asyncio.sleep(0.2)
        assert time.process_time() - spent < 0.1
        threads = threading.active_count()
        queue.put(1)
        assert await task == 1
        assert threading.active_count() == threads

    run(main)


def test_a_cancelled_task_hands_the_item_on_to_a_thread(make: Make, crew: Crew) -> None:
    queue = make()
    got: list[int] = []

    async def main() -> None:
        waiting = asyncio.ensure_future(queue.aget())
        await asleep(waiting)
        thread = crew.start(lambda: got.append(queue.get()))
        until_asleep(thread)
        queue.put(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await in_thread(crew.join)
        assert got == [1]

    run(main)


class Nosy(asyncio.SelectorEventLoop):
    """Runs code of its own where another thread wakes it."""

    def __init__(self) -> None:
        super().__init__()
        self.on_wake: Callable[[], None] | None = None
        self.raised: list[BaseException] = []

    def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        on_wake, self.on_wake = self.on_wake, None
        if on_wake is not None:
            try:
                on_wake()
            except Exception as error:
                self.raised.append(error)
        return super().call_soon_threadsafe(*args, **kwargs)


WAKES: dict[str, tuple[bool, Callable[[Queue[Any]], object], int]] = {
    "put": (False, lambda queue: queue.put(1), 1),
    "put-many": (False, lambda queue: queue.put_many([1, 2]), 2),
    "get": (True, lambda queue: queue.get(), 1),
    "get-many": (True, lambda queue: queue.get_many(2), 0),
    "shutdown": (False, lambda queue: queue.shutdown(), 0),
    "shutdown-immediate": (True, lambda queue: queue.shutdown(immediate=True), 0),
}


@pytest.mark.parametrize("wake", WAKES)
def test_the_queue_can_be_used_where_a_coroutine_is_woken(base: type[Queue[Any]], wake: str) -> None:
    """Code of the loop's, or a signal handler that comes then, finds the change made and the queue free."""
    full, change, size = WAKES[wake]
    queue = base(2)
    loop = Nosy()
    sizes: list[int] = []

    def use() -> None:
        sizes.append(queue.qsize())
        queue.shutdown()

    async def main() -> None:
        if full:
            queue.put_many([1, 2])
        task = asyncio.ensure_future(queue.aput(3) if full else queue.aget())
        await asleep(task)
        loop.on_wake = use
        thread = threading.Thread(target=change, args=(queue,))
        thread.start()
        thread.join(60)
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 60)

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert (sizes, loop.raised) == ([size], [])


def test_signal_handlers_put_while_coroutines_are_woken(base: type[Queue[Any]]) -> None:
    queue = base()
    # One handler can interrupt another.
    numbers = itertools.count()
    put: list[int] = []
    got: list[int] = []

    def handler(_signum: int, _frame: object) -> None:
        number = next(numbers)
        queue.put_nowait(number)
        put.append(number)

    async def take() -> None:
        got.extend([item async for item in queue])

    consumer = threading.Thread(target=lambda: asyncio.run(take()))
    consumer.start()
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        deadline = time.monotonic() + 60
        while len(put) < 1000 and time.monotonic() < deadline:
            queue.put(-1)
            time.sleep(0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        queue.shutdown()
        consumer.join(60)
    assert len(put) >= 1000
    assert sorted(item for item in got if item >= 0) == list(range(len(put)))
