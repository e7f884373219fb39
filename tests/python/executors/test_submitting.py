"""Submission: arguments, order, workers, context variables, errors, and callables of every sort."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
from collections.abc import Callable
from typing import Any

import pytest

import raddle
from raddle.futures import Future
from tests.python.executors import jobs
from tests.python.executors.gates import Gate
from tests.python.executors.jobs import LONG, Journal
from tests.python.executors.kinds import Kind
from tests.python.futures.support import until

MakePool = Callable[..., Any]


def test_it_is_an_executor_of_the_standard_library(kind: Kind, pool: Any) -> None:
    assert isinstance(pool, concurrent.futures.Executor)
    assert isinstance(pool, getattr(concurrent.futures, kind.executor.__name__))
    future = pool.submit(int)
    assert isinstance(future, concurrent.futures.Future)
    assert isinstance(future, Future)


def test_arguments_arrive_whatever_they_are_called(pool: Any) -> None:
    for view in (pool, pool.options(priority=1)):
        assert view.submit(jobs.gather, 1, fn=2, self=3).result(LONG) == ((1,), {"fn": 2, "self": 3})


def test_tasks_of_one_worker_run_in_the_order_of_submission(
    single: Any, gate: Gate, journal: Journal
) -> None:
    single.submit(gate.door)
    futures = [single.submit(journal.note, number) for number in range(200)]
    gate.open()
    assert raddle.wait(futures, LONG).not_done == set()
    assert journal.lines() == [str(number) for number in range(200)]


def test_as_many_tasks_run_at_once_as_there_are_workers(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(7)
    futures = [pool.submit(gate.door, number) for number in range(8)]
    gate.await_entry(7)
    assert gate.entries == 7
    assert pool.stats().queued == 1
    gate.open()
    assert [future.result(LONG) for future in futures] == list(range(8))


def test_a_result_is_what_the_task_returned(pool: Any) -> None:
    for value in (None, 0, "", b"x" * 100_000, {"a": [1, (2.5, None)]}, ..., NotImplemented):
        assert pool.submit(jobs.gather, value).result(LONG) == ((value,), {})


def test_context_variables_travel_and_changes_stay_in_the_task(single: Any) -> None:
    token = jobs.VARIABLE.set("submitter's")
    try:
        for view in (single, single.options(retries=1), single.options(timeout=LONG)):
            assert view.submit(jobs.change_variable).result(LONG) == "submitter's"
            assert list(view.map(jobs.change_variable, range(3))) == ["submitter's"] * 3
        assert jobs.VARIABLE.get() == "submitter's"
    finally:
        jobs.VARIABLE.reset(token)
    assert single.submit(jobs.change_variable).result(LONG) == "unset"


class Adder:
    """Callable, and with methods of every sort."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, other: int) -> int:
        return self.number + other

    def method(self, other: int) -> int:
        return self.number + other

    @classmethod
    def of_class(cls, other: int) -> int:
        return cls(2)(other)

    @staticmethod
    def static(other: int) -> int:
        return 2 + other


def test_callables_of_every_sort(pool: Any) -> None:
    captured = 2

    def closure(other: int) -> int:
        return captured + other

    class Local:
        def __call__(self, other: int) -> int:
            return captured + other

    callables: list[Callable[[int], int]] = [
        (2).__add__,
        closure,
        lambda other: captured + other,
        functools.partial(closure),
        functools.partial(lambda a, b: a + b, 2),
        Adder(2),
        Adder(2).method,
        Adder.of_class,
        Adder(2).of_class,
        Adder.static,
        Local(),
    ]
    assert [pool.submit(fn, 3).result(LONG) for fn in callables] == [5] * len(callables)
    for fn in callables:
        assert list(pool.map(fn, [3, 4])) == [5, 6]


class TestErrors:
    @pytest.mark.parametrize(
        "raised", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException, RecursionError, MemoryError]
    )
    def test_a_task_may_raise_anything(self, single: Any, raised: type[BaseException]) -> None:
        for view in (single, single.options(timeout=LONG)):
            error = view.submit(jobs.fail, raised, "no").exception(LONG)
            assert type(error) is raised
            assert error.args == ("no",)
        with pytest.raises(raised):
            list(single.map(functools.partial(jobs.fail_as, raised), [1]))
        assert single.submit(pow, 2, 3).result(LONG) == 8
        assert single.stats().workers == 1

    def test_attributes_and_causes_arrive(self, pool: Any) -> None:
        error = pool.submit(jobs.fail_with_cause).exception(LONG)
        assert type(error) is jobs.Custom
        assert (error.args, error.code) == (("no", 7), 7)
        causes = []
        cause: BaseException | None = error
        while cause is not None and (cause := cause.__cause__ or cause.__context__):
            causes.append(type(cause))
        assert ValueError in causes

    def test_the_traceback_shows_the_line_that_raised(self, pool: Any) -> None:
        import traceback

        error = pool.submit(jobs.fail_with_cause).exception(LONG)
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        assert 'raise Custom("no", 7) from error' in text
        assert "in fail_with_cause" in text

    def test_endless_recursion(self, single: Any) -> None:
        with pytest.raises(RecursionError):
            single.submit(jobs.recurse).result(LONG)
        assert single.submit(pow, 2, 3).result(LONG) == 8

    def test_sys_exit_ends_nothing(self, single: Any) -> None:
        with pytest.raises(SystemExit) as raised:
            single.submit(jobs.exit_with, 3).result(LONG)
        assert raised.value.code == 3
        assert single.submit(pow, 2, 3).result(LONG) == 8

    @pytest.mark.parametrize("thing", [5, None, "name"])
    def test_something_that_cannot_be_called(self, single: Any, thing: Any) -> None:
        with pytest.raises(TypeError, match="not callable"):
            single.submit(thing).result(LONG)
        with pytest.raises(TypeError, match="not callable"):
            list(single.map(thing, [1]))
        assert single.submit(pow, 2, 3).result(LONG) == 8

    def test_nothing_to_call(self, single: Any) -> None:
        with pytest.raises(TypeError):
            single.submit()


def test_a_future_knows_its_task(single: Any) -> None:
    future = single.submit(jobs.gather)
    future.result(LONG)
    assert future.name == "gather"
    assert future.duration is not None
    assert 0 <= future.duration < LONG
    assert future.worker is not None


class TestCancelling:
    def test_a_task_that_has_not_begun(self, single: Any, gate: Gate, journal: Journal) -> None:
        single.submit(gate.door)
        gate.await_entry()
        queued = [single.submit(journal.note, number) for number in range(30)]
        assert all(future.cancel() for future in queued[::2])
        assert all(future.cancelled() for future in queued[::2])
        gate.open()
        raddle.wait(queued[1::2], LONG)
        with contextlib.suppress(concurrent.futures.CancelledError):
            queued[0].result(LONG)
        assert journal.lines() == [str(number) for number in range(1, 30, 2)]

    def test_a_task_that_runs_or_is_done(self, single: Any, gate: Gate) -> None:
        future = single.submit(gate.door, 5)
        gate.await_entry()
        assert not future.cancel()
        assert future.running()
        gate.open()
        assert future.result(LONG) == 5
        assert not future.cancel()


def test_callbacks_are_called_with_the_future(single: Any, gate: Gate) -> None:
    seen: list[Any] = []
    future = single.submit(gate.door, 5)
    future.add_done_callback(seen.append)
    assert seen == []
    gate.open()
    future.result(LONG)
    future.add_done_callback(seen.append)
    # Where a task runs in another process, who waits for it may be quicker than its callbacks.
    until(lambda: seen == [future, future])
