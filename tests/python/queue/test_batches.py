"""Many items at once, and iteration until the shutdown."""

from __future__ import annotations

import contextlib
import itertools
import signal
from collections.abc import Callable
from typing import Any

import pytest

from raddle.queue import Empty, Full, Queue, ShutDown
from tests.python.futures.support import until_asleep
from tests.python.queue.support import EXPECTED, Crew

Make = Callable[..., Queue[Any]]


@pytest.mark.parametrize("form", [list, tuple, iter, set])
def test_many_are_put_in_order(base: type[Queue[Any]], make: Make, form: Callable[[Any], Any]) -> None:
    queue = make()
    items = form(range(5))
    assert queue.put_many(items) is None  # type: ignore[func-returns-value]
    assert (queue.qsize(), queue.unfinished_tasks) == (5, 5)
    assert queue.get_many(9) == EXPECTED[base](list(range(5)))


def test_get_many_takes_at_most_so_many(base: type[Queue[Any]], make: Make) -> None:
    queue = make()
    queue.put_many(range(10))
    in_order = EXPECTED[base](list(range(10)))
    assert queue.get_many(0) == []
    assert queue.get_many(3) == in_order[:3]
    assert queue.get_many(n=7, block=False, timeout=None) == in_order[3:]
    assert queue.get_many(0) == []
    with pytest.raises(Empty):
        queue.get_many(1, False)
    with pytest.raises(Empty):
        queue.get_many(1, timeout=0.001)
    with pytest.raises(ValueError, match="'n' must be"):
        queue.get_many(-1)


def test_get_many_waits_for_the_first_one(make: Make, crew: Crew) -> None:
    queue = make()
    got: list[list[int]] = []
    thread = crew.start(lambda: got.append(queue.get_many(10)))
    until_asleep(thread)
    queue.put(1)
    crew.join()
    assert got == [[1]]


@pytest.mark.parametrize("form", [list, iter])
def test_put_many_waits_for_room_and_tells_what_it_did_not_put(
    make: Make, crew: Crew, form: Callable[[Any], Any]
) -> None:
    queue = make(3)
    for arguments in ((False,), (True, 0.01)):
        with pytest.raises(Full) as full:
            queue.put_many(form([1, 2, 3, 4, 5]), *arguments)
        assert list(full.value.unput) == [4, 5]  # type: ignore[attr-defined]
        assert sorted(queue.get_many(9)) == [1, 2, 3]
    thread = crew.start(queue.put_many, form(range(10)))
    until_asleep(thread)
    got: list[int] = []
    while len(got) < 10:
        got += queue.get_many(2)
    crew.join()
    assert sorted(got) == list(range(10))


@pytest.mark.parametrize("form", [list, iter])
def test_a_shutdown_ends_put_many(make: Make, crew: Crew, form: Callable[[Any], Any]) -> None:
    queue = make(2)
    unput: list[int] = []

    def put() -> None:
        with pytest.raises(ShutDown) as ended:
            queue.put_many(form(range(5)))
        unput.extend(ended.value.unput)  # type: ignore[attr-defined]

    thread = crew.start(put)
    until_asleep(thread)
    queue.shutdown()
    crew.join()
    assert unput == [2, 3, 4]
    assert sorted(queue) == [0, 1]


def test_an_endless_iterable_is_taken_as_there_is_room(make: Make) -> None:
    queue = make(10)
    numbers = itertools.count()
    with pytest.raises(Full) as full:
        queue.put_many(numbers, block=False)
    assert queue.qsize() == 10
    assert list(itertools.islice(full.value.unput, 3)) == [10, 11, 12]  # type: ignore[attr-defined]


def test_items_of_a_slow_iterable_are_there_at_once(make: Make) -> None:
    queue = make()

    def slow() -> Any:
        for number in range(3):
            yield number
            assert queue.get_nowait() == number

    queue.put_many(slow())
    assert queue.empty()


def test_an_iterable_that_raises_keeps_what_it_gave(make: Make) -> None:
    queue = make()

    def failing() -> Any:
        yield 1
        raise LookupError

    with pytest.raises(LookupError):
        queue.put_many(failing())
    assert queue.get_many(9) == [1]
    with pytest.raises(TypeError):
        queue.put_many(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", [list, tuple, iter])
def test_nothing_is_put_from_nothing(make: Make, form: Callable[[Any], Any]) -> None:
    queue = make(1)
    queue.put(0)
    queue.put_many(form([]))
    queue.shutdown()
    assert queue.qsize() == 1


def test_iteration_ends_with_the_shutdown(base: type[Queue[Any]], make: Make, crew: Crew) -> None:
    queue = make()
    queue.put_many([1, 2])
    got: list[int] = []
    thread = crew.start(lambda: got.extend(queue))
    until_asleep(thread)
    assert got == EXPECTED[base]([1, 2])
    queue.put(3)
    queue.shutdown()
    crew.join()
    assert got[2:] == [3]
    assert list(queue) == []


def test_an_immediate_shutdown_ends_iteration_at_once(make: Make) -> None:
    queue = make()
    queue.put_many([1, 2, 3])
    iterator = iter(queue)
    next(iterator)
    queue.shutdown(immediate=True)
    assert list(iterator) == []


@pytest.mark.parametrize("by_coroutine", [False, True])
def test_an_interruption_tells_exactly_what_was_not_put(by_coroutine: bool) -> None:
    class Interruption(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interruption

    def put_many(queue: Queue[int], seconds: float) -> None:
        items = iter(range(50_000))
        signal.setitimer(signal.ITIMER_REAL, seconds)
        if by_coroutine:
            with contextlib.suppress(StopIteration):
                queue.aput_many(items).send(None)
        else:
            queue.put_many(items)
        while True:
            pass

    previous = signal.signal(signal.SIGALRM, interrupt)
    in_the_middle = 0
    try:
        for turn in range(200):
            queue: Queue[int] = Queue()
            with pytest.raises(Interruption) as caught:
                put_many(queue, 1e-4 + turn * 5e-6)
            if (unput := getattr(caught.value, "unput", None)) is not None:
                in_the_middle += 1
                assert queue.qsize() + len(list(unput)) == 50_000
        assert in_the_middle
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_others_run_while_a_native_iterable_is_put(crew: Crew) -> None:
    queue: Queue[int] = Queue()

    def put_endlessly() -> None:
        with pytest.raises(ShutDown):
            queue.put_many(itertools.count())

    crew.start(put_endlessly)
    assert queue.get(timeout=60) == 0
    queue.shutdown(immediate=True)
