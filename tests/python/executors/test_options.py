"""`options`: timeouts, retries, dependencies, priorities, names."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

import pytest

import raddle
from raddle.futures import Future
from tests.python.executors import jobs
from tests.python.executors.gates import Gate
from tests.python.executors.jobs import LONG, Flaky, Journal
from tests.python.executors.kinds import Kind
from tests.python.futures.support import until

MakePool = Callable[..., Any]


class TestTimeout:
    def test_the_future_fails_and_the_worker_goes_on(self, single: Any) -> None:
        future = single.options(timeout=0.05).submit(jobs.spin)
        with pytest.raises(raddle.TaskTimeout, match=r"0\.05 s"):
            future.result(LONG)
        assert isinstance(future.exception(), TimeoutError)
        assert future.duration is not None
        assert 0.05 <= future.duration < LONG
        until(lambda: single.stats().blocked == 0)
        assert single.submit(pow, 2, 3).result(LONG) == 8
        until(lambda: single.stats().busy == 0)
        assert single.stats().timed_out == 1

    def test_counts_from_the_start_of_the_task(self, single: Any, gate: Gate) -> None:
        single.submit(gate.door)
        gate.await_entry()
        waiting = single.options(timeout=0.05).submit(pow, 2, 3)
        assert not raddle.wait([waiting], 0.2).done
        gate.open()
        error = waiting.exception(LONG)
        # On a slow machine even this task may take that long.
        assert error is None or (waiting.duration or 0) >= 0.05

    def test_one_that_is_stuck_in_a_system_call(self, kind: Kind, single: Any, gate: Gate) -> None:
        future = single.options(timeout=0.05).submit(gate.door)
        with pytest.raises(raddle.TaskTimeout):
            future.result(LONG)
        assert single.submit(pow, 2, 3).result(LONG) == 8
        if kind.kills and gate.entries:  # it may have been killed on its way to the gate
            gate.await_leaving()
        gate.open()
        until(lambda: single.stats().blocked == 0)

    def test_those_who_wait_behind_it_are_not_hit(self, single: Any) -> None:
        for _ in range(5):
            futures = [single.options(timeout=0.02).submit(jobs.spin)]
            futures += [single.submit(pow, 2, number) for number in range(20)]
            assert isinstance(futures[0].exception(LONG), raddle.TaskTimeout)
            assert [future.result(LONG) for future in futures[1:]] == [2**number for number in range(20)]

    def test_many_at_once(self, make_pool: MakePool) -> None:
        pool = make_pool(4)
        futures = [pool.options(timeout=0.01 * (1 + number % 5)).submit(jobs.spin) for number in range(20)]
        for future in futures:
            assert isinstance(future.exception(LONG), raddle.TaskTimeout)
        until(lambda: pool.stats().blocked == 0)
        assert pool.submit(pow, 2, 3).result(LONG) == 8
        assert pool.stats().timed_out == 20


class TestRetries:
    def test_until_it_works(self, single: Any, journal: Journal) -> None:
        assert single.options(retries=5).submit(Flaky(journal, 3)).result(LONG) == 4
        assert single.stats().retried == 3
        assert single.stats().failed == 0

    def test_the_last_failure_counts(self, single: Any, journal: Journal) -> None:
        with pytest.raises(ValueError, match="3"):
            single.options(retries=2).submit(Flaky(journal, 9)).result(LONG)
        assert len(journal.lines()) == 3

    @pytest.mark.parametrize(
        ("retry_on", "raised", "attempts"),
        [
            (KeyError, ValueError, 1),
            ((KeyError, OSError), ValueError, 1),
            ([LookupError], ValueError, 1),
            ((OSError, ValueError), ValueError, 6),
            ((Exception,), SystemExit, 1),
            (SystemExit, SystemExit, 6),
            (LookupError, KeyError, 6),
        ],
        ids=str,
    )
    def test_only_for_the_classes_asked_for(
        self, single: Any, journal: Journal, retry_on: Any, raised: type[BaseException], attempts: int
    ) -> None:
        future = single.options(retries=5, retry_on=retry_on).submit(Flaky(journal, 9, raised))
        assert type(future.exception(LONG)) is raised
        assert len(journal.lines()) == attempts

    @pytest.mark.parametrize(
        ("retry_on", "attempts"),
        [(OSError, 1), (raddle.TaskTimeout, 3), (TimeoutError, 3), (Exception, 3)],
        ids=str,
    )
    def test_a_timeout_is_meant_by_its_name_not_by_oserror(
        self, make_pool: MakePool, gate: Gate, retry_on: Any, attempts: int
    ) -> None:
        pool = make_pool(2)
        future = pool.options(timeout=0.02, retries=2, retry_on=retry_on).submit(gate.door)
        assert isinstance(future.exception(LONG), raddle.TaskTimeout)
        assert pool.stats().timed_out == attempts

    def test_a_schedule_says_how_long_to_wait(self, single: Any, journal: Journal) -> None:
        asked: list[int] = []

        def schedule(attempt: int) -> float:
            asked.append(attempt)
            return 0.001

        assert single.options(retries=5, backoff=schedule).submit(Flaky(journal, 3)).result(LONG) == 4
        assert asked == [1, 2, 3]

    def test_a_pause_occupies_no_worker(self, single: Any) -> None:
        future = single.options(retries=1, backoff=lambda _: 3600).submit(int, "x")
        until(lambda: single.stats().deferred == 1)
        assert single.submit(pow, 2, 3).result(LONG) == 8
        assert future.cancel()
        assert single.stats().deferred == 0
        assert single.stats().cancelled == 1

    def test_a_schedule_that_fails_ends_the_task(self, single: Any) -> None:
        error = single.options(retries=5, backoff=lambda _: 1 / 0).submit(int, "x").exception(LONG)
        assert isinstance(error, ZeroDivisionError)
        assert isinstance(error.__context__, ValueError)
        assert isinstance(single.options(retries=5, backoff=str).submit(int, "x").exception(LONG), TypeError)


class TestAfter:
    @pytest.mark.parametrize("of", [Future, concurrent.futures.Future])
    def test_not_before_all_are_done(self, single: Any, of: Callable[[], Future[int]]) -> None:
        first, second = of(), of()
        dependant = single.options(after=[first, second]).submit(pow, 2, 3)
        first.set_result(1)
        assert single.submit(int).result(LONG) == 0
        assert not dependant.done()
        second.set_result(2)
        assert dependant.result(LONG) == 8

    def test_of_futures_that_are_done(self, single: Any) -> None:
        done = single.submit(int)
        done.result(LONG)
        assert single.options(after=[done, done]).submit(pow, 2, 3).result(LONG) == 8
        assert single.options(after=done).submit(pow, 2, 3).result(LONG) == 8

    @pytest.mark.parametrize("of", [Future, concurrent.futures.Future])
    def test_a_failure_is_the_cause(
        self, single: Any, journal: Journal, of: Callable[[], Future[int]]
    ) -> None:
        failing, open_ = of(), of()
        dependant = single.options(after=[open_, failing], retries=3).submit(journal.note, 1)
        later = single.options(after=dependant).submit(journal.note, 2)
        failing.set_exception(KeyError("root"))
        error = dependant.exception(LONG)
        assert type(error) is raddle.DependencyFailed
        assert isinstance(error.__cause__, KeyError)
        second = later.exception(LONG)
        assert type(second) is raddle.DependencyFailed
        assert second.__cause__ is error
        open_.set_result(1)
        assert journal.lines() == []

    @pytest.mark.parametrize("of", [Future, concurrent.futures.Future])
    def test_a_cancelled_one(self, single: Any, of: Callable[[], Future[int]]) -> None:
        cancelled = of()
        dependant = single.options(after=cancelled).submit(int)
        cancelled.cancel()
        error = dependant.exception(LONG)
        assert type(error) is raddle.DependencyFailed
        assert isinstance(error.__cause__, concurrent.futures.CancelledError)

    def test_after_a_foreign_future_that_cannot_be_looked_at(self, single: Any) -> None:
        """The task fails: it does not stay on its shelf for ever."""

        class Odd(concurrent.futures.Future[int]):
            def exception(self, timeout: float | None = None) -> BaseException | None:
                raise LookupError("odd")

        odd = Odd()
        dependant = single.options(after=odd).submit(int)
        odd.set_result(1)
        error = dependant.exception(LONG)
        assert isinstance(error, raddle.DependencyFailed)
        assert isinstance(error.__cause__, LookupError)

    def test_across_executors_in_a_diamond(self, make_pool: MakePool, journal: Journal) -> None:
        with raddle.ThreadPoolExecutor(1) as other:
            pools = (make_pool(1), other)
            top = pools[0].submit(journal.note, "top")
            sides = [pool.options(after=top).submit(journal.note, "side") for pool in pools]
            pools[1].options(after=sides).submit(journal.note, "bottom").result(LONG)
        assert journal.lines() == ["top", "side", "side", "bottom"]

    def test_a_long_chain(self, single: Any) -> None:
        future = single.submit(int)
        for _ in range(1000):
            future = single.options(after=future).submit(int)
        assert future.result(LONG) == 0

    def test_cancelling_the_dependant(self, single: Any) -> None:
        first: Future[int] = Future()
        dependant = single.options(after=first).submit(int)
        assert dependant.cancel()
        assert single.stats().deferred == 0
        first.set_result(1)
        assert dependant.cancelled()


def test_higher_priorities_start_first_and_equals_in_order(single: Any, gate: Gate, journal: Journal) -> None:
    single.submit(gate.door)
    gate.await_entry()
    submitted = [(priority, number) for number in range(20) for priority in (0, 5, -3, 2)]
    futures = [single.options(priority=task[0]).submit(journal.note, task) for task in submitted]
    gate.open()
    raddle.wait(futures, LONG)
    assert journal.lines() == [str(task) for task in sorted(submitted, key=lambda task: -task[0])]


def test_names(single: Any, journal: Journal) -> None:
    assert single.options(name="wash").submit(int).name == "wash"
    assert single.options(priority=2).submit(Flaky(journal, 0).__call__).name == "Flaky.__call__"


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": "1"},
        {"timeout": True},
        {"retries": -1},
        {"retries": 1.5},
        {"retries": True},
        {"retries": 2**40},
        {"retry_on": 5},
        {"retry_on": [5]},
        {"retry_on": int},
        {"backoff": -1},
        {"backoff": float("inf")},
        {"backoff": "soon"},
        {"backoff": True},
        {"priority": True},
        {"priority": 2**31 - 1},
        {"priority": 1.5},
        {"priority": 2**40},
        {"name": 5},
        {"after": 5},
        {"after": [5]},
        {"after": [None]},
        {"unknown": 1},
    ],
    ids=str,
)
def test_options_that_make_no_sense(single: Any, options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        single.options(**options)
    assert single.submit(pow, 2, 3).result(LONG) == 8


def test_seconds_beyond_all_floats(single: Any) -> None:
    assert single.options(timeout=10**400).submit(pow, 2, 3).result(LONG) == 8
    with pytest.raises(ValueError, match="backoff"):
        single.options(backoff=10**400)
