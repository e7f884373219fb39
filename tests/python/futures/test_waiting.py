"""`wait` and `as_completed` over futures without an executor, Raddle's and the stdlib's mixed."""

from __future__ import annotations

import concurrent.futures
import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from raddle.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    Future,
    TimeoutError,  # noqa: A004
    as_completed,
    wait,
)
from tests.python.futures.support import LONG, until

KINDS = (Future, concurrent.futures.Future)


def make(count: int) -> list[Any]:
    """Open futures of both kinds by turns."""
    return [kind() for kind, _ in zip(itertools.cycle(KINDS), range(count))]


class TestWait:
    def test_for_all(self) -> None:
        futures = make(6)
        for number, future in enumerate(futures):
            threading.Thread(target=future.set_result, args=(number,)).start()
        done, not_done = wait(futures, LONG)
        assert (done, not_done) == (set(futures), set())

    @pytest.mark.parametrize("which", range(4))
    def test_for_the_first(self, which: int) -> None:
        futures = make(4)
        threading.Timer(0.01, futures[which].set_result, [1]).start()
        assert wait(futures, LONG, FIRST_COMPLETED) == ({futures[which]}, set(futures) - {futures[which]})
        assert wait(futures, return_when=FIRST_COMPLETED).done == {futures[which]}

    @pytest.mark.parametrize("which", range(4))
    def test_for_a_failure(self, which: int) -> None:
        futures = make(4)

        def end() -> None:
            futures[which - 1].set_result(1)
            futures[which].set_exception(ValueError())

        threading.Timer(0.01, end).start()
        assert wait(futures, LONG, FIRST_EXCEPTION).done == {futures[which - 1], futures[which]}
        assert wait(futures, return_when=FIRST_EXCEPTION).not_done == set(futures) - {
            futures[which - 1],
            futures[which],
        }

    def test_for_a_failure_that_never_comes(self) -> None:
        futures = make(4)
        for future in futures:
            threading.Thread(target=future.set_result, args=(1,)).start()
        assert wait(futures, LONG, FIRST_EXCEPTION).not_done == set()

    @pytest.mark.parametrize("condition", [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION])
    def test_timeout_and_nothing(self, condition: str) -> None:
        futures = make(3)
        assert wait(futures, 0.01, condition) == (set(), set(futures))
        assert wait(futures, 0, condition) == (set(), set(futures))
        assert wait(futures, -1, condition) == (set(), set(futures))
        assert wait([], None, condition) == (set(), set())
        assert wait(iter(futures[:1] * 3), 0, condition).not_done == {futures[0]}

    def test_bad_input(self) -> None:
        with pytest.raises(ValueError, match="return"):
            wait(make(1), return_when="SOME")
        for things in ([1], 5, [None]):
            with pytest.raises((TypeError, AttributeError)):
                wait(things, 0)  # type: ignore[type-var, arg-type]

    def test_leaves_nothing_behind(self) -> None:
        futures = make(4)
        wait(futures, 0.001)
        with pytest.raises(TimeoutError):
            next(iter(as_completed(futures, 0.001)))
        assert [len(future._waiters) for future in futures] == [0] * 4


class TestAsCompleted:
    def test_each_once_as_it_ends(self) -> None:
        futures = make(6)
        iteration = as_completed([*futures, *futures], LONG)
        for which in (3, 0, 5, 1, 4, 2):
            futures[which].set_result(which)
            assert next(iteration) is futures[which]
        assert list(iteration) == []

    def test_those_that_have_ended_come_first(self) -> None:
        futures = make(4)
        futures[2].set_exception(ValueError())
        futures[3].set_result(1)
        iteration = as_completed(futures)
        assert {next(iteration), next(iteration)} == {futures[2], futures[3]}
        futures[0].cancel()
        futures[0].set_running_or_notify_cancel()  # as its executor does; the stdlib waits for that too
        assert next(iteration) is futures[0]

    def test_timeout(self) -> None:
        futures = make(3)
        futures[0].set_result(1)
        iteration = as_completed(futures, 0.02)
        assert next(iteration) is futures[0]
        with pytest.raises(TimeoutError, match=r"2 \(of 3\) futures unfinished"):
            next(iteration)

    def test_of_nothing(self) -> None:
        assert list(as_completed([])) == []
        with pytest.raises((TypeError, AttributeError)):
            list(as_completed([1]))  # type: ignore[type-var, list-item]


@pytest.mark.parametrize("collect", [wait, lambda futures: list(as_completed(futures))])
def test_threads_that_wait_for_the_same_futures(collect: Callable[[list[Any]], Any]) -> None:
    futures = make(20)
    ended: list[int] = []
    threads = [threading.Thread(target=lambda: ended.append(bool(collect(futures)))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for number, future in enumerate(futures):
        if number % 3 == 2:
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(number)
    for thread in threads:
        thread.join(LONG)
    until(lambda: ended == [True] * 5)
