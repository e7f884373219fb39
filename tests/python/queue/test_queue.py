"""What every kind of queue promises to threads, wherever its items stand."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import queue as stdlib
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import raddle.queue
from raddle.queue import Empty, Full, Queue, ShutDown
from tests.python.futures.support import until_asleep
from tests.python.queue.support import EXPECTED, Crew

Make = Callable[..., Queue[Any]]


def test_items_come_out_in_the_order_of_the_class(base: type[Queue[Any]], make: Make) -> None:
    queue = make()
    items = [3, 1, 2, 5, 4]
    for item in items:
        queue.put(item)
    assert (queue.qsize(), queue.empty(), queue.full()) == (5, False, False)
    assert [queue.get() for _ in items] == EXPECTED[base](items)
    assert (queue.qsize(), queue.empty(), queue.full()) == (0, True, False)


def test_a_full_queue_refuses(make: Make) -> None:
    queue = make(2)
    assert queue.maxsize == 2
    queue.put(1)
    queue.put_nowait(1)
    assert queue.full()
    for put in (
        lambda: queue.put_nowait(1),
        lambda: queue.put(1, False),
        lambda: queue.put(1, block=0),  # type: ignore[arg-type]
        lambda: queue.put(1, timeout=0),
        lambda: queue.put(1, True, 0.001),
    ):
        with pytest.raises(Full):
            put()
    assert (queue.qsize(), queue.unfinished_tasks) == (2, 2)


def test_an_empty_queue_refuses(make: Make) -> None:
    queue = make()
    for get in (
        lambda: queue.get_nowait(),
        lambda: queue.get(False),
        lambda: queue.get(block=None),  # type: ignore[arg-type]
        lambda: queue.get(timeout=0),
        lambda: queue.get(True, 0.001),
    ):
        with pytest.raises(Empty):
            get()


def test_a_negative_timeout_is_an_error_where_it_counts(make: Make) -> None:
    queue = make(1)
    message = "'timeout' must be a non-negative number"
    for call in (lambda: queue.put(1, timeout=-1), lambda: queue.get(timeout=-0.1)):
        with pytest.raises(ValueError, match=message):
            call()
    assert queue.empty()
    queue.put(1, False, -1)
    assert queue.get(False, -1) == 1
    unbounded = make()
    unbounded.put(1, timeout=-1)
    with pytest.raises(ValueError, match=message):
        unbounded.get(timeout=-1)
    assert unbounded.qsize() == 1


def test_wrong_arguments_are_type_errors(make: Make) -> None:
    queue = make()
    for call in (
        lambda: queue.put(),  # type: ignore[call-arg]
        lambda: queue.put(1, 2, 3, 4),  # type: ignore[call-arg]
        lambda: queue.get(1, 2, 3),  # type: ignore[call-arg]
        lambda: queue.get(blocking=True),  # type: ignore[call-arg]
        lambda: queue.get(timeout="1"),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError):
            call()


def test_get_waits_for_put(make: Make, crew: Crew) -> None:
    queue = make()
    got: list[int] = []
    thread = crew.start(lambda: got.append(queue.get()))
    until_asleep(thread)
    queue.put(7)
    crew.join()
    assert got == [7]


def test_put_waits_for_get(make: Make, crew: Crew) -> None:
    queue = make(1)
    queue.put(1)
    thread = crew.start(queue.put, 2, True, 60)
    until_asleep(thread)
    assert queue.get(timeout=60) == 1
    crew.join()
    assert queue.get() == 2


def test_join_waits_for_every_report(make: Make, crew: Crew) -> None:
    queue = make()
    queue.join()
    queue.put(1)
    queue.put(2)
    thread = crew.start(queue.join)
    until_asleep(thread)
    queue.get()
    queue.task_done()
    until_asleep(thread)
    queue.task_done()
    crew.join()
    assert queue.unfinished_tasks == 0
    with pytest.raises(ValueError, match=r"task_done\(\) called too many times"):
        queue.task_done()


def test_a_shutdown_lets_the_rest_out(make: Make) -> None:
    queue = make(2)
    queue.put(1)
    assert not queue.is_shutdown
    queue.shutdown()
    assert queue.is_shutdown
    for put in (queue.put, queue.put_nowait):
        with pytest.raises(ShutDown):
            put(2)
    assert queue.get() == 1
    for get in (queue.get, queue.get_nowait, lambda: queue.get(timeout=0), lambda: queue.get_many(2)):
        with pytest.raises(ShutDown):
            get()
    queue.task_done()
    queue.join()
    queue.shutdown(immediate=True)
    queue.shutdown()


def test_an_immediate_shutdown_drops_the_items_as_finished(make: Make, crew: Crew) -> None:
    queue = make()
    queue.put_many([1, 2, 3])
    queue.get()
    thread = crew.start(queue.join)
    until_asleep(thread)
    queue.shutdown(immediate=True)
    assert (queue.qsize(), queue.unfinished_tasks) == (0, 1)
    with pytest.raises(ShutDown):
        queue.get()
    until_asleep(thread)
    queue.task_done()
    crew.join()


@pytest.mark.parametrize("immediate", [False, True])
def test_a_shutdown_wakes_everybody_who_waits(make: Make, crew: Crew, immediate: bool) -> None:
    empty, full = make(1), make(1)
    full.put(0)
    ended: list[str] = []

    def refused(call: Callable[[], object]) -> None:
        with pytest.raises(ShutDown):
            call()
        ended.append("refused")

    threads = [crew.start(refused, empty.get) for _ in range(3)]
    threads += [crew.start(refused, lambda: full.put(1)) for _ in range(3)]
    for thread in threads:
        until_asleep(thread)
    empty.shutdown(immediate)
    full.shutdown(immediate)
    crew.join()
    assert len(ended) == 6


def test_maxsize_can_be_changed(make: Make, crew: Crew) -> None:
    queue = make(3)
    queue.put_many([1, 2, 3])
    queue.maxsize = 2
    with pytest.raises(Full):
        queue.put_nowait(4)
    queue.maxsize = 5
    assert queue.maxsize == 5
    queue.put_nowait(4)
    queue.maxsize = -1
    assert (queue.maxsize, queue.full()) == (-1, False)
    queue.put_many(range(100))
    queue.maxsize = 2.5  # type: ignore[assignment]
    assert queue.maxsize == 2.5
    assert queue.full()


def test_items_are_let_go_as_soon_as_they_leave(make: Make) -> None:
    class Item:
        def __lt__(self, other: object) -> bool:
            return False

    queue = make()
    for _ in range(5):
        queue.put(Item())
    for _ in range(5):
        watched = weakref.ref(queue.get())
        assert watched() is None


def test_a_queue_is_found_by_the_garbage_collector(make: Make) -> None:
    class Item:
        queue: object

        def __lt__(self, other: object) -> bool:
            return False

    queue = make()
    for _ in range(3):
        item = Item()
        item.queue = queue
        queue.put(item)
    watched = weakref.ref(item)
    del item, queue
    gc.collect()
    assert watched() is None


def test_it_can_be_referred_to_weakly_and_has_attributes(make: Make) -> None:
    queue = make()
    queue.label = "mine"  # type: ignore[attr-defined]
    assert queue.label == "mine"  # type: ignore[attr-defined]
    del queue.label  # type: ignore[attr-defined]
    watched = weakref.ref(queue)
    assert watched() is queue
    del queue
    assert watched() is None


def test_it_is_neither_pickled_nor_copied(make: Make) -> None:
    queue = make()
    for call in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            call(queue)


def test_its_repr_and_its_generic_form(base: type[Queue[Any]]) -> None:
    assert repr(base()).startswith(f"<raddle.queue.{base.__name__} object at 0x")
    assert base[int].__origin__ is base  # type: ignore[index]
    assert base[int]().qsize() == 0  # type: ignore[index]


def test_the_module_has_what_the_stdlibs_has() -> None:
    assert set(stdlib.__all__) <= set(raddle.queue.__all__)
    assert all(hasattr(raddle.queue, name) for name in raddle.queue.__all__)
    assert raddle.queue.Empty is stdlib.Empty
    assert raddle.queue.Full is stdlib.Full
    if sys.version_info >= (3, 13):
        assert raddle.queue.ShutDown is stdlib.ShutDown


def test_a_timeout_is_kept(make: Make) -> None:
    started = time.monotonic()
    with pytest.raises(Empty):
        make().get(timeout=0.05)
    assert 0.05 <= time.monotonic() - started < 5


def test_a_timeout_that_no_clock_can_count_is_an_error_once_it_waits(make: Make) -> None:
    queue = make()
    queue.put(1)
    assert queue.get(timeout=1e100) == 1
    with pytest.raises(OverflowError):
        queue.get(timeout=1e100)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("maxsize", [0, 1, 7])
def test_nothing_is_lost_or_doubled(make: Make, crew: Crew, threads: int, maxsize: int) -> None:
    queue = make(maxsize)
    seen: list[int] = []

    def consume() -> None:
        for item in queue:
            seen.append(item)
            queue.task_done()

    for _ in range(threads):
        crew.start(consume)
    producers = Crew()
    for number in range(threads):
        producers.start(lambda start: [queue.put(start + i) for i in range(200)], number * 200)
    producers.join()
    queue.join()
    queue.shutdown()
    crew.join()
    assert sorted(seen) == list(range(200 * threads))


@pytest.mark.slow
def test_a_thousand_threads_share_a_queue(base: type[Queue[Any]]) -> None:
    queue = base(3)
    crew = Crew()
    got: list[int] = []
    stack = threading.stack_size(256 * 1024)
    try:
        for number in range(500):
            crew.start(lambda: got.append(queue.get()))
            crew.start(queue.put, number)
    finally:
        threading.stack_size(stack)
    crew.join()
    assert sorted(got) == list(range(500))


@pytest.mark.parametrize("maxsize", [math.inf, -math.inf, 10**20, -(10**20)])
def test_a_bound_beyond_all_numbers_is_none_and_stays_native(maxsize: Any) -> None:
    queue: Queue[int] = Queue(maxsize)
    queue.put_many([1, 2], timeout=60)
    assert not queue.full()
    assert queue.maxsize == maxsize
    assert not queue._is_hooked()
    assert queue.mutex is not None
    assert queue.maxsize == maxsize
    queue.maxsize = 2
    assert queue.full()
    native: Queue[int] = Queue(maxsize)
    native.maxsize = 1
    native.put(1)
    assert (native.maxsize, native.full(), native._is_hooked()) == (1, True, False)


def test_a_bound_that_is_no_integer_is_what_was_given() -> None:
    flag: Queue[int] = Queue(True)
    assert flag.maxsize is True
    flag.put(1)
    assert flag.full()
    nothing: Queue[int] = Queue(None)  # type: ignore[arg-type]
    assert nothing.maxsize is None
    with pytest.raises(TypeError):
        nothing.put(1)
    with pytest.raises(TypeError):
        nothing.put(1, timeout=1)
