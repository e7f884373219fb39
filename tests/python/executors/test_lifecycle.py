"""Workers and the executor's life: initializers, resize, stats, shutdown, constructor arguments."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any

import pytest

import raddle
from raddle.futures import BrokenExecutor, ExecutorStats
from tests.python.executors import jobs
from tests.python.executors.gates import Gate
from tests.python.executors.jobs import LONG
from tests.python.executors.kinds import Kind
from tests.python.futures.support import until

MakePool = Callable[..., Any]


class TestInitializer:
    def test_runs_once_in_each_worker(self, make_pool: MakePool, gate: Gate) -> None:
        pool = make_pool(3, initializer=jobs.initialize, initargs=(7,))
        waiting = [pool.submit(gate.door) for _ in range(3)]
        gate.await_entry(3)
        gate.open()
        raddle.wait(waiting, LONG)
        assert list(pool.map(jobs.initialized, range(30))) == [[7]] * 30

    def test_one_that_raises_breaks_the_executor(
        self, kind: Kind, make_pool: MakePool, gate: Gate, caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = make_pool(1, initializer=jobs.fail_to_initialize, initargs=(gate.door,))
        futures = [pool.submit(int), pool.options(retries=2).submit(int)]
        items = pool.map(abs, [1])
        futures.append(pool.options(after=[futures[0]]).submit(int))
        gate.open()
        assert [isinstance(future.exception(LONG), kind.broken) for future in futures[:2]] == [True, True]
        assert futures[2].exception(LONG) is not None
        with pytest.raises(BrokenExecutor):
            next(items)
        with pytest.raises(BrokenExecutor):
            pool.submit(int)
        pool.shutdown()
        assert "Exception in initializer" in caplog.text


class TestResize:
    def test_up_while_loaded(self, single: Any, gate: Gate) -> None:
        futures = [single.submit(gate.door, number) for number in range(4)]
        gate.await_entry()
        single.resize(4)
        gate.await_entry(4)
        gate.open()
        assert [future.result(LONG) for future in futures] == list(range(4))

    def test_down_while_loaded(self, make_pool: MakePool, gates: Callable[[], Gate]) -> None:
        pool = make_pool(4)
        early, late = gates(), gates()
        futures = [pool.submit(early.door) for _ in range(4)]
        early.await_entry(4)
        pool.resize(1)
        futures += [pool.submit(late.door), pool.submit(int)]
        early.open()
        late.await_entry()
        raddle.wait(futures[:4], LONG)
        assert not futures[5].done()
        assert pool.stats().queued == 1
        late.open()
        assert raddle.wait(futures, LONG).not_done == set()
        until(lambda: pool.stats().workers == 1)

    def test_back_and_forth_loses_nothing(self, single: Any) -> None:
        futures = []
        for size in (3, 1, 4, 2, 1):
            single.resize(size)
            futures += [single.submit(pow, 2, number) for number in range(50)]
        assert sum(future.result(LONG) for future in futures) == 5 * (2**50 - 1)
        until(lambda: single.stats().busy == 0)

    @pytest.mark.parametrize("size", [0, -3, 1.5, "2", True])
    def test_to_what_is_no_number_of_workers(self, single: Any, size: Any) -> None:
        with pytest.raises((ValueError, TypeError)):
            single.resize(size)
        assert single.submit(pow, 2, 3).result(LONG) == 8


class TestStats:
    def test_figures_follow_the_tasks(self, single: Any, gate: Gate) -> None:
        assert isinstance(single.stats(), ExecutorStats)
        assert single.stats().completed == 0
        single.submit(gate.door)
        gate.await_entry()
        waiting = [single.submit(int) for _ in range(3)]
        bad = single.submit(int, "x")
        waiting[0].cancel()
        dependant = single.options(after=[waiting[1]]).submit(int)
        stats = single.stats()
        assert (stats.workers, stats.busy, stats.idle) == (1, 1, 0)
        assert stats.deferred == 1
        assert stats.queued in (3, 4)  # the cancelled one may still be there
        gate.open()
        raddle.wait([*waiting, bad, dependant], LONG)
        until(lambda: single.stats().completed == 4)
        until(lambda: single.stats().busy == 0)
        stats = single.stats()
        assert (stats.failed, stats.cancelled, stats.queued, stats.deferred) == (1, 1, 0, 0)

    def test_timeouts_and_retries_are_counted(self, single: Any, gate: Gate) -> None:
        single.options(timeout=0.01).submit(gate.door).exception(LONG)
        single.options(retries=2).submit(int, "x").exception(LONG)
        stats = single.stats()
        assert (stats.timed_out, stats.retried) == (1, 2)


class TestShutdown:
    def test_everything_accepted_is_done(self, make_pool: MakePool) -> None:
        pool = make_pool(2)
        futures = [pool.submit(pow, 2, number) for number in range(100)]
        pool.shutdown()
        assert all(future.done() for future in futures)
        assert pool.stats().workers == 0
        for refused in (
            lambda: pool.submit(int),
            lambda: pool.map(int, []),
            lambda: pool.options(retries=1).submit(int),
        ):
            with pytest.raises(RuntimeError, match="after shutdown"):
                refused()
        pool.shutdown()

    def test_without_waiting(self, single: Any, gate: Gate) -> None:
        first, second = single.submit(gate.door, 1), single.submit(pow, 2, 3)
        single.shutdown(wait=False)
        assert not first.done()
        gate.open()
        assert (first.result(LONG), second.result(LONG)) == (1, 8)

    def test_cancelling_what_has_not_begun(self, single: Any, gate: Gate) -> None:
        running = single.submit(gate.door, 1)
        gate.await_entry()
        queued = [single.submit(int) for _ in range(30)]
        deferred = single.options(after=[running]).submit(int)
        items = single.map(abs, range(3))
        single.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in [*queued, deferred])
        assert not running.done()
        gate.open()
        assert running.result(LONG) == 1
        with pytest.raises(concurrent.futures.CancelledError):
            next(items)

    def test_cancelling_while_a_retry_is_due(self, single: Any) -> None:
        future = single.options(retries=1, backoff=lambda _: 3600).submit(int, "x")
        until(lambda: single.stats().deferred)
        single.shutdown(cancel_futures=True)
        assert future.cancelled()

    def test_dependants_and_retries_are_done_before_it_returns(
        self, single: Any, gate: Gate, journal: jobs.Journal
    ) -> None:
        first = single.submit(gate.door, 1)
        dependant = single.options(after=first).submit(pow, 2, 3)
        flaky = single.options(retries=5, backoff=0.001).submit(jobs.Flaky(journal, 3))
        gate.open()
        single.shutdown()
        assert (dependant.result(0), flaky.result(0)) == (8, 4)

    def test_the_with_block_waits_also_when_it_raises(self, kind: Kind, gate: Gate) -> None:
        threading.Timer(0.01, gate.open).start()
        futures = []

        def body() -> None:
            with kind.executor(1) as pool:
                futures.append(pool.submit(gate.door, 5))
                raise KeyError

        with pytest.raises(KeyError):
            body()
        assert futures[0].result(0) == 5

    def test_one_that_was_never_used(self, kind: Kind) -> None:
        with kind.executor(2) as pool:
            pass
        assert pool.stats().completed == 0


class TestBadInput:
    @pytest.mark.parametrize("workers", [0, -1])
    def test_no_workers(self, kind: Kind, workers: int) -> None:
        with pytest.raises(ValueError, match="max_workers must be greater than 0"):
            kind.executor(workers)

    @pytest.mark.parametrize(
        ("error", "arguments"),
        [
            (TypeError, {"max_workers": 1.5}),
            (TypeError, {"max_workers": "2"}),
            (TypeError, {"max_workers": True}),
            (TypeError, {"initializer": 5}),
            (ValueError, {"max_pending": 0}),
            (TypeError, {"max_pending": 1.5}),
            (ValueError, {"on_full": "wait"}),
            (ValueError, {"native_threads": 0}),
            (TypeError, {"unknown": 1}),
        ],
        ids=str,
    )
    def test_constructor(self, kind: Kind, error: type[Exception], arguments: dict[str, Any]) -> None:
        with pytest.raises(error):
            kind.executor(**arguments)

    def test_an_executor_that_was_never_initialised(self, kind: Kind) -> None:
        class Forgetful(kind.executor):  # type: ignore[name-defined, misc]
            def __init__(self) -> None:
                pass

        with pytest.raises(RuntimeError, match="never initialised"):
            Forgetful().submit(int)
