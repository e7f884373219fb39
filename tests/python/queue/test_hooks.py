"""Subclasses with hooks, and code that uses the stdlib's attributes."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import heapq
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from raddle.queue import Empty, Full, LifoQueue, PriorityQueue, Queue
from tests.python.futures.support import until_asleep
from tests.python.queue.support import Crew


class UniqueQueue(Queue[int]):
    """The classic example: a set in the place of the deque."""

    def _init(self, maxsize: int) -> None:
        self.queue: set[int] = set()

    def _qsize(self) -> int:
        return len(self.queue)

    def _put(self, item: int) -> None:
        assert self.mutex.locked()
        self.queue.add(item)

    def _get(self) -> int:
        assert self.mutex.locked()
        return self.queue.pop()


def test_hooks_decide_what_the_queue_is(crew: Crew) -> None:
    queue = UniqueQueue(3)
    for item in (1, 1, 2, 2):
        queue.put(item)
    assert queue.qsize() == 2
    queue.put(3)
    assert queue.full()
    thread = crew.start(queue.put, 4)
    until_asleep(thread)
    assert {queue.get() for _ in range(3)} <= {1, 2, 3, 4}
    crew.join()


def test_a_hook_is_called_with_what_was_given() -> None:
    calls: list[tuple[object, ...]] = []

    class Recorded(Queue[Any]):
        def _init(self, *args: Any) -> None:
            calls.append(args)
            super()._init(*args)

    Recorded()
    Recorded(3)
    Recorded(maxsize=-1)
    assert calls == [(0,), (3,), (-1,)]


def test_one_hook_is_enough() -> None:
    class Doubled(LifoQueue[int]):
        def _get(self) -> int:
            return 2 * super()._get()

    queue = Doubled()
    queue.put_many([1, 2])
    assert queue.get_many(2) == [4, 2]


def test_a_hook_that_raises_leaves_the_queue_as_it_is() -> None:
    class Failing(Queue[int]):
        fails = True

        def _put(self, item: int) -> None:
            if self.fails:
                raise LookupError
            super()._put(item)

        def _get(self) -> int:
            if self.fails:
                raise LookupError
            return super()._get()

    queue = Failing(1)
    with pytest.raises(LookupError):
        queue.put(1)
    assert (queue.qsize(), queue.unfinished_tasks) == (0, 0)
    queue.fails = False
    queue.put(1)
    queue.fails = True
    with pytest.raises(LookupError):
        queue.get(timeout=1)
    assert queue.full()
    queue.fails = False
    assert queue.get() == 1


def test_a_subclass_may_take_other_arguments() -> None:
    class Named(Queue[int]):
        def __init__(self, name: str, *, size: int) -> None:
            self.name = name
            super().__init__(size)

    queue = Named("mine", size=1)
    queue.put(1)
    assert (queue.name, queue.full(), queue._is_hooked()) == ("mine", True, False)


def test_the_nowait_methods_go_through_an_overridden_one() -> None:
    class Logged(Queue[int]):
        log: list[str]

        def put(self, item: int, block: bool = True, timeout: float | None = None) -> None:
            self.log.append(f"put {item} {block}")
            super().put(item, block, timeout)

        def get(self, block: bool = True, timeout: float | None = None) -> int:
            item = super().get(block, timeout)
            self.log.append(f"get {item} {block}")
            return item

    queue = Logged()
    queue.log = []
    queue.put_nowait(1)
    queue.put_many([2])
    assert queue.get_nowait() == 1
    assert next(iter(queue)) == 2
    assert queue.log == ["put 1 False", "put 2 True", "get 1 False", "get 2 True"]


def test_many_are_taken_by_an_overridden_get() -> None:
    class Upper(Queue[str]):
        def get(self, block: bool = True, timeout: float | None = None) -> str:
            return super().get(block, timeout).upper()

    queue = Upper()
    queue.put_many("abc")
    assert queue.get_many(0) == []
    assert queue.get_many(2) == ["A", "B"]
    assert queue.get_many(2, timeout=60) == ["C"]
    with pytest.raises(Empty):
        queue.get_many(2, timeout=0.01)
    queue.put("d")
    assert asyncio.run(queue.aget_many(5)) == ["d"]


def test_a_get_and_a_put_of_one_queue_alone_are_called() -> None:
    queue: Queue[int] = Queue()
    put = queue.put
    queue.put = lambda item, *wait: put(-item, *wait)  # type: ignore[method-assign]
    queue.put_nowait(1)
    queue.put_many([2])
    assert queue.get_many(5) == [-1, -2]
    queue.get = lambda *_: 42  # type: ignore[method-assign]
    assert queue.get_nowait() == 42
    assert queue.get_many(2) == [42, 42]
    assert next(iter(queue)) == 42
    assert not queue._is_hooked()


class Interrupted(Queue[int]):
    """Its hook is interrupted at one of the items."""

    def _get(self) -> int:
        if self.queue[0] == 3:
            raise KeyboardInterrupt
        return super()._get()


@pytest.mark.parametrize("by_override", [False, True])
def test_what_was_taken_before_an_interruption_is_on_the_exception(by_override: bool) -> None:
    class Overridden(Interrupted):
        def get(self, block: bool = True, timeout: float | None = None) -> int:
            return super().get(block, timeout)

    queue = Overridden() if by_override else Interrupted()
    queue.put_many([1, 2, 3, 4])
    with pytest.raises(KeyboardInterrupt) as caught:
        queue.get_many(4)
    assert caught.value.taken == [1, 2]  # type: ignore[attr-defined]
    assert queue.qsize() == 2
    with pytest.raises(KeyboardInterrupt) as caught:
        queue.get_many(4)
    assert not hasattr(caught.value, "taken")


def test_what_a_coroutine_took_before_an_interruption_is_on_the_exception() -> None:
    queue = Interrupted()
    queue.put_many([1, 2, 3, 4])
    coroutine = queue.aget_many(4)
    with pytest.raises(KeyboardInterrupt) as caught:
        coroutine.send(None)
    assert caught.value.taken == [1, 2]  # type: ignore[attr-defined]
    assert queue.qsize() == 2


def test_a_timeout_goes_on_when_the_items_become_pythons(crew: Crew) -> None:
    empty: Queue[int] = Queue()
    full: Queue[int] = Queue(1)
    full.put(0)
    took: list[float] = []

    def time_out(method: Any, failure: type[Exception], *args: Any) -> None:
        start = time.monotonic()
        with pytest.raises(failure):
            method(*args, True, 2)
        took.append(time.monotonic() - start)

    threads = [
        crew.start(time_out, empty.get, Empty),
        crew.start(time_out, empty.get_many, Empty, 3),
        crew.start(time_out, full.put, Full, 1),
        crew.start(time_out, full.put_many, Full, [1]),
    ]
    for thread in threads:
        until_asleep(thread)
    start = time.monotonic()
    threads[0].join(1)
    assert threads[0].is_alive()
    assert empty.mutex is not full.mutex
    crew.join()
    assert time.monotonic() - start < 2.8
    assert all(1.9 < seconds < 2.8 for seconds in took), took


def test_a_hook_of_one_queue_alone_is_called() -> None:
    queue: Queue[int] = Queue()
    queue.put(1)
    seen = []
    original = queue._put
    queue._put = lambda item: (seen.append(item), original(item))[1]  # type: ignore[method-assign]
    queue.put(2)
    assert seen == [2]
    assert queue.get_many(5) == [1, 2]


def test_the_classic_way_to_clear_a_queue(crew: Crew) -> None:
    queue: Queue[int] = Queue(3)
    queue.put_many([1, 2, 3])
    putter, joiner = crew.start(queue.put, 4), crew.start(queue.join)
    until_asleep(putter)
    until_asleep(joiner)
    with queue.mutex:
        unfinished = queue.unfinished_tasks - len(queue.queue)
        queue.queue.clear()
        queue.unfinished_tasks = unfinished
        queue.all_tasks_done.notify_all()
        queue.not_full.notify_all()
    putter.join(60)
    assert queue.get() == 4
    queue.task_done()
    joiner.join(60)


@pytest.mark.parametrize(
    ("base", "kind"), [(Queue, collections.deque), (LifoQueue, list), (PriorityQueue, list)]
)
def test_the_items_keep_their_order_when_they_become_pythons(base: type[Queue[Any]], kind: type) -> None:
    queue = base(9)
    items = [5, 2, 8, 1, 9, 3]
    queue.put_many(items)
    expected = base(9)
    expected.put_many(items)
    assert type(queue.queue) is kind
    assert (len(queue.queue), queue.maxsize, queue.unfinished_tasks) == (6, 9, 6)
    assert queue.get_many(9) == expected.get_many(9)
    assert not expected._is_hooked()


def test_a_heap_that_becomes_pythons_is_a_heap() -> None:
    queue: PriorityQueue[int] = PriorityQueue()
    queue.put_many(i * 7919 % 1000 for i in range(1000))
    assert [heapq.heappop(queue.queue) for _ in range(1000)] == sorted(range(1000))


@pytest.mark.parametrize("attribute", ["mutex", "not_empty", "not_full", "all_tasks_done", "queue"])
def test_those_who_wait_go_on_when_the_items_become_pythons(attribute: str, crew: Crew) -> None:
    empty: Queue[int] = Queue(1)
    full: Queue[int] = Queue(1)
    full.put(0)
    got: list[int] = []
    threads = [
        crew.start(lambda: got.append(empty.get())),
        crew.start(lambda: got.append(empty.get(timeout=60))),
        crew.start(full.put, 1),
        crew.start(full.join),
    ]
    for thread in threads:
        until_asleep(thread)
    getattr(empty, attribute)
    getattr(full, attribute)
    for thread in threads:
        until_asleep(thread)
    empty.put(1)
    empty.put(2)
    assert [full.get(), full.get(timeout=60)] == [0, 1]
    full.task_done()
    full.task_done()
    crew.join()
    assert sorted(got) == [1, 2]


@pytest.mark.parametrize("base", [Queue, LifoQueue, PriorityQueue])
def test_a_signal_amid_the_switch_leaves_the_queue_usable(base: type[Queue[Any]]) -> None:
    class Interruption(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interruption

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        for turn in range(60):
            queue = base()
            queue.put_many(list(range(20_000)))
            with contextlib.suppress(Interruption):
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + turn * 1e-5)
                queue.mutex  # noqa: B018 - this is what makes the items Python's
                while True:
                    pass
            assert queue.mutex.acquire(timeout=10)
            queue.mutex.release()
            assert (queue.qsize(), queue.unfinished_tasks) == (20_000, 20_000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


WITHOUT_MEMORY = """
import _testcapi
from raddle.queue import LifoQueue, PriorityQueue, Queue
missing = 0
for base in (Queue, LifoQueue, PriorityQueue):
    for allocation in range(60):
        queue = base()
        queue.put_many(list(range(1000)))
        _testcapi.set_nomemory(allocation, allocation + 1)
        try:
            queue.mutex
        except BaseException:
            missing += 1
        finally:
            _testcapi.remove_mem_hooks()
        assert queue.mutex.acquire(timeout=10)
        queue.mutex.release()
        assert (queue.qsize(), queue.unfinished_tasks) == (1000, 1000)
        assert sorted(queue.get_many(1000)) == list(range(1000))
assert missing
"""


def test_missing_memory_amid_the_switch_loses_nothing() -> None:
    pytest.importorskip("_testcapi")
    child = subprocess.run(
        [sys.executable, "-c", WITHOUT_MEMORY], capture_output=True, check=False, text=True
    )
    assert child.returncode == 0, child.stderr


def test_a_shut_down_queue_stays_so_when_it_becomes_pythons() -> None:
    queue: Queue[int] = Queue()
    queue.put(1)
    queue.shutdown()
    assert len(queue.queue) == 1
    assert queue.is_shutdown
    assert list(queue) == [1]


@pytest.mark.parametrize("turn", range(20))
def test_items_become_pythons_amid_the_traffic(turn: int, crew: Crew) -> None:
    queue: Queue[int] = Queue(5 if turn % 2 else 0)
    got: list[int] = []

    def consume() -> None:
        for item in queue:
            got.append(item)
            queue.task_done()

    consumers = [crew.start(consume) for _ in range(3)]
    producers = Crew()
    for number in range(3):
        producers.start(lambda start: [queue.put(i) for i in range(start, start + 300)], 300 * number)
    touchers = [crew.start(lambda: queue.mutex) for _ in range(2)]
    producers.join()
    queue.join()
    queue.shutdown()
    for thread in consumers + touchers:
        thread.join(60)
    assert sorted(got) == list(range(900))


def test_an_empty_hooked_queue_times_out() -> None:
    queue = UniqueQueue(1)
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    queue.put(1)
    with pytest.raises(Full):
        queue.put(2, timeout=0.01)
