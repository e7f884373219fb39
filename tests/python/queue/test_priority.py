"""Comparisons: what they decide, what they may do, and what happens when they raise."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from raddle.queue import PriorityQueue, Queue
from tests.python.futures.support import until_asleep
from tests.python.queue.support import Crew, hooked, touched

FORMS = [PriorityQueue, hooked(PriorityQueue), touched(PriorityQueue)]


@pytest.fixture(params=FORMS, ids=["native", "hooked", "touched"])
def queue(request: pytest.FixtureRequest) -> Queue[Any]:
    made: Queue[Any] = request.param()
    return made


class Item:
    """Compared by its number; can be told to raise."""

    fails = -1
    comparisons = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __lt__(self, other: Item) -> bool:
        Item.comparisons += 1
        if Item.fails >= 0:
            if Item.fails == 0:
                raise LookupError("no comparison today")
            Item.fails -= 1
        return self.number < other.number


@pytest.fixture(autouse=True)
def calm() -> None:
    Item.fails = -1


VALUES: dict[str, Callable[[random.Random], Any]] = {
    "ints": lambda r: r.randrange(-50, 50),
    "big ints": lambda r: r.choice((-1, 1)) * 10 ** r.randrange(15, 40) + r.randrange(3),
    "floats": lambda r: r.choice((r.random(), float("inf"), -float("inf"), 0.0, -0.0)),
    "mixed numbers": lambda r: r.choice(
        (r.randrange(5), r.random() * 5, True, False, 2**53, 2**53 + 1, 2.0**53, -(2**63), 10**400)
    ),
    "strings": lambda r: "".join(r.choice("ab\xe9\u4e2d\U0001f600") for _ in range(r.randrange(4))),
    "bytes": lambda r: bytes(r.randrange(3) for _ in range(r.randrange(4))),
    "tuples": lambda r: tuple(r.randrange(3) for _ in range(r.randrange(4))),
    "entries": lambda r: (r.randrange(5), r.choice("abc"), (r.random(), r.randrange(3))),
    "deep": lambda r: ((((((r.randrange(3),),),),),), r.randrange(3)),
    "lists": lambda r: [r.randrange(3) for _ in range(r.randrange(3))],
}


@pytest.mark.parametrize("kind", VALUES)
def test_items_come_out_as_python_sorts_them(queue: Queue[Any], kind: str) -> None:
    randomness = random.Random(kind)
    for size in (1, 2, 3, 7, 100):
        items = [VALUES[kind](randomness) for _ in range(size)]
        for item in items:
            queue.put(item)
        assert queue.get_many(size) == sorted(items)


def test_nan_harms_nobody(queue: Queue[Any]) -> None:
    nan = float("nan")
    queue.put_many([nan, 1.0, nan, (nan, 1), (nan, 0)][:3])
    assert len(queue.get_many(9)) == 3
    queue.put_many([(nan, 2), (nan, 1)])
    assert [item[1] for item in queue.get_many(2)] == [1, 2]


def test_payloads_are_not_compared_unless_they_must_be(queue: Queue[Any]) -> None:
    queue.put_many([(1, object()), (0, object())])
    with pytest.raises(TypeError):
        queue.put((0, object()))
    assert queue.qsize() == 2
    assert [item[0] for item in queue.get_many(2)] == [0, 1]


def test_what_cannot_be_compared_is_not_put(queue: Queue[Any]) -> None:
    queue.put(1)
    for wrong in ("1", None, (1,), object()):
        with pytest.raises(TypeError):
            queue.put(wrong)
    assert (queue.qsize(), queue.unfinished_tasks) == (1, 1)
    assert queue.get() == 1


def test_a_comparison_that_raises_changes_nothing(queue: Queue[Any]) -> None:
    numbers = list(range(40))
    random.Random(1).shuffle(numbers)
    raised = 0
    for number in numbers:
        for moment in range(12):
            Item.fails = moment
            try:
                queue.put(Item(number))
            except LookupError:
                raised += 1
            else:
                break
        Item.fails = -1
    assert queue.qsize() == queue.unfinished_tasks == 40
    got = []
    while not queue.empty():
        for moment in range(20):
            Item.fails = moment
            size = queue.qsize()
            try:
                item = queue.get()
            except LookupError:
                raised += 1
                assert queue.qsize() == size
            else:
                got.append(item.number)
                break
        Item.fails = -1
    assert got == sorted(numbers)
    assert raised > 100


def test_it_compares_no_more_often_than_the_stdlib() -> None:
    import queue as stdlib

    counts = []
    for kind in (stdlib.PriorityQueue, PriorityQueue):
        queue: Any = kind()
        Item.comparisons = 0
        order = list(range(500))
        random.Random(2).shuffle(order)
        for number in order:
            queue.put(Item(number))
        for _ in order:
            queue.get()
        counts.append(Item.comparisons)
    assert counts[1] <= counts[0]


def test_an_error_amid_a_batch_loses_nothing() -> None:
    queue: PriorityQueue[Any] = PriorityQueue()
    with pytest.raises(TypeError) as failure:
        queue.put_many([3, 1, "wrong", 2])
    assert list(failure.value.unput) == ["wrong", 2]  # type: ignore[attr-defined]
    assert queue.get_many(9) == [1, 3]
    queue.put_many(map(Item, range(20)))
    Item.fails = 10
    some = [item.number for item in queue.get_many(20)]
    assert 1 <= len(some) < 10
    with pytest.raises(LookupError):
        queue.get()
    Item.fails = -1
    assert some + [item.number for item in queue.get_many(20)] == list(range(20))


def interrupted(monkeypatch: pytest.MonkeyPatch, error: type[BaseException], moment: int) -> None:
    """Let a comparison raise `error` after `moment` others."""
    left = iter(range(moment, -1, -1))

    def less(one: Item, other: Item) -> bool:
        if next(left, None) == 0:
            raise error
        return one.number < other.number

    monkeypatch.setattr(Item, "__lt__", less)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_is_raised_amid_a_batch_and_takes_nothing(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next call would not meet it again, as it would a failing comparison."""
    numbers = list(range(15))
    random.Random(3).shuffle(numbers)
    raised = 0
    for moment in range(60):
        queue: PriorityQueue[Any] = PriorityQueue()
        queue.put_many(map(Item, numbers))
        with monkeypatch.context() as patch:
            interrupted(patch, error, moment)
            try:
                got = queue.get_many(15)
            except error:
                raised += 1
                assert queue.qsize() == queue.unfinished_tasks == 15
                got = queue.get_many(15)
        assert [item.number for item in got] == sorted(numbers)
        assert queue.empty()
        for _ in numbers:
            queue.task_done()
        queue.join()
    assert 30 < raised < 60


def test_what_is_put_back_is_there_for_others(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    queue: PriorityQueue[Any] = PriorityQueue(5)
    queue.put_many([Item(number) for number in range(5)])
    putter = crew.start(queue.put, Item(5))
    until_asleep(putter)
    with monkeypatch.context() as patch:
        # Two comparisons for the first item, two for the second one.
        interrupted(patch, KeyboardInterrupt, 3)
        with pytest.raises(KeyboardInterrupt):
            queue.get_many(5)
    # The room for which the putter was woken is gone.
    until_asleep(putter)
    assert queue.full()
    assert [item.number for item in queue.get_many(5)] == [0, 1, 2, 3, 4]
    crew.join()
    assert queue.get().number == 5


def test_a_comparison_can_not_use_its_own_queue() -> None:
    queue: PriorityQueue[Any] = PriorityQueue()

    class Nosy:
        def __init__(self, call: Callable[[], object]) -> None:
            self.call = call

        def __lt__(self, other: object) -> bool:
            self.call()
            return True

    calls = (
        lambda: queue.put(1),
        queue.get_nowait,
        lambda: queue.shutdown(immediate=True),
        lambda: queue.queue,
    )
    for call in calls:
        queue.put(Nosy(call))
        with pytest.raises(RuntimeError, match="within a comparison"):
            queue.put(Nosy(call))
        assert queue.qsize() == 1
        queue.get()
    # Looking is no harm.
    queue.put(Nosy(queue.qsize))
    queue.put(Nosy(queue.empty))
    assert queue.qsize() == 2


def test_others_wait_while_a_comparison_runs(crew: Crew) -> None:
    queue: PriorityQueue[Any] = PriorityQueue()
    entered, go = threading.Event(), threading.Event()

    class Slow(Item):
        def __lt__(self, other: Item) -> bool:
            entered.set()
            assert go.wait(60)
            return self.number < other.number

    queue.put(Item(2))
    crew.start(queue.put, Slow(1))
    assert entered.wait(60)
    got: list[int] = []
    getter = crew.start(lambda: got.append(queue.get().number))
    putter = crew.start(queue.put, Item(3))
    for thread in (getter, putter):
        until_asleep(thread)
    assert queue.qsize() == 1
    go.set()
    crew.join()
    assert queue.qsize() == 2
    assert got == [1] or (got == [2] and queue.get().number == 1)


def test_many_threads_with_comparisons_in_python(crew: Crew) -> None:
    queue: PriorityQueue[Any] = PriorityQueue(50)
    got: list[int] = []
    for _ in range(4):
        crew.start(lambda: got.extend(queue.get().number for _ in range(250)))
    producers = Crew()
    for number in range(4):
        producers.start(lambda start: [queue.put(Item(i)) for i in range(start, start + 250)], 250 * number)
    producers.join()
    crew.join()
    assert sorted(got) == list(range(1000))
