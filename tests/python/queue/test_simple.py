"""`SimpleQueue`: at any time, from anywhere."""

from __future__ import annotations

import gc
import inspect
import itertools
import pickle
import signal
import weakref
from typing import Any

import pytest

from raddle.queue import Empty, SimpleQueue
from tests.python.futures.support import until_asleep
from tests.python.queue.support import Crew


def test_first_in_first_out() -> None:
    queue: SimpleQueue[int] = SimpleQueue()
    queue.put(1)
    queue.put(2, False, -5)
    queue.put(item=3, block="no", timeout="never")  # type: ignore[arg-type]
    queue.put_nowait(4)
    assert (queue.qsize(), queue.empty()) == (4, False)
    assert [queue.get(), queue.get(True, 1), queue.get(block=False), queue.get_nowait()] == [1, 2, 3, 4]
    assert (queue.qsize(), queue.empty()) == (0, True)


def test_an_empty_one_refuses() -> None:
    queue: SimpleQueue[int] = SimpleQueue()
    for get in (
        lambda: queue.get_nowait(),
        lambda: queue.get(False),
        lambda: queue.get(False, -1),
        lambda: queue.get(timeout=0),
        lambda: queue.get(True, 0.001),
    ):
        with pytest.raises(Empty):
            get()


def test_wrong_arguments() -> None:
    queue: SimpleQueue[int] = SimpleQueue()
    queue.put(1)
    for call in (
        lambda: queue.put(),  # type: ignore[call-arg]
        lambda: queue.put(1, 2, 3, 4),  # type: ignore[call-arg]
        lambda: queue.put(*range(20)),  # type: ignore[arg-type]
        lambda: queue.get(1, 2, 3),  # type: ignore[call-arg]
        lambda: queue.get(timeot=1),  # type: ignore[call-arg]
        lambda: queue.get(timeout="1"),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
        queue.get(timeout=-1)
    with pytest.raises(OverflowError):
        queue.get(timeout=1e100)
    assert queue.qsize() == 1


def test_it_takes_no_bound() -> None:
    with pytest.raises(TypeError, match="takes no arguments"):
        SimpleQueue(10)
    with pytest.raises(TypeError, match="takes no arguments"):
        SimpleQueue(maxsize=10)

    class Named(SimpleQueue[int]):
        def __init__(self, name: str) -> None:
            self.name = name

    assert Named("mine").name == "mine"


def test_its_methods_tell_what_they_take() -> None:
    assert str(inspect.signature(SimpleQueue.put)) == "(self, /, item, block=True, timeout=None)"
    assert str(inspect.signature(SimpleQueue.get)) == "(self, /, block=True, timeout=None)"
    assert (SimpleQueue.get.__doc__ or "").startswith("Takes the next item.")
    assert SimpleQueue.put.__name__ == "put"


def test_get_waits_for_put(crew: Crew) -> None:
    queue: SimpleQueue[int] = SimpleQueue()
    got: list[int] = []
    threads = [crew.start(lambda: got.append(queue.get())) for _ in range(3)]
    threads += [crew.start(lambda: got.append(queue.get(timeout=60)))]
    for thread in threads:
        until_asleep(thread)
    for item in range(4):
        queue.put(item)
    crew.join()
    assert sorted(got) == [0, 1, 2, 3]


def test_a_subclass_is_a_queue_as_well() -> None:
    class Named(SimpleQueue[int]):
        def __init__(self, name: str) -> None:
            self.name = name

    queue = Named("mine")
    queue.put(1)
    assert (queue.name, queue.get()) == ("mine", 1)
    assert repr(SimpleQueue()).startswith("<raddle.queue.SimpleQueue object at 0x")
    assert SimpleQueue[int]().qsize() == 0


def test_it_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(SimpleQueue())


def test_references_end_with_the_queue_and_when_items_leave() -> None:
    class Item:
        queue: Any

    queue: SimpleQueue[Any] = SimpleQueue()
    item = Item()
    watched = weakref.ref(item)
    queue.put(item)
    del item
    assert queue.get() is not None
    assert watched() is None
    item = Item()
    item.queue = queue
    queue.put(item)
    watched, queues = weakref.ref(item), weakref.ref(queue)
    del item, queue
    gc.collect()
    assert watched() is None
    assert queues() is None


def test_finalizers_put_while_others_put_and_get() -> None:
    queue: SimpleQueue[int] = SimpleQueue()
    numbers = itertools.count()

    class Circular:
        def __init__(self) -> None:
            self.circular = self

        def __del__(self) -> None:
            queue.put(next(numbers))

    results: list[int] = []
    while not results or results[-1] < 5_000:
        circular = Circular()
        queue.put(next(numbers))
        del circular
        results.append(queue.get())
    assert results == list(range(len(results)))


def test_an_item_whose_finalizer_uses_the_queue() -> None:
    queue: SimpleQueue[Any] = SimpleQueue()

    class Item:
        def __del__(self) -> None:
            queue.put("gone")

    queue.put(Item())
    queue.get()
    assert queue.get() == "gone"


def test_a_signal_handler_puts_amid_puts_and_gets() -> None:
    queue: SimpleQueue[int] = SimpleQueue()
    put = 0

    def handle(_signum: int, _frame: object) -> None:
        nonlocal put
        queue.put(-1)
        put += 1

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    got = []
    try:
        number = 0
        while put < 200:
            queue.put(number)
            number += 1
            got.append(queue.get())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    while not queue.empty():
        got.append(queue.get())
    assert got.count(-1) == put
    assert [item for item in got if item >= 0] == list(range(number))


def test_nothing_is_lost_between_threads(crew: Crew) -> None:
    queue: SimpleQueue[int] = SimpleQueue()
    got: list[int] = []
    for _ in range(4):
        crew.start(lambda: got.extend(queue.get() for _ in range(1000)))
    for number in range(4):
        crew.start(lambda start: [queue.put(i) for i in range(start, start + 1000)], 1000 * number)
    crew.join()
    assert sorted(got) == list(range(4000))
