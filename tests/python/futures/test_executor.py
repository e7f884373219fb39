"""`ThreadPoolExecutor`: submission, workers, shutdown, and the input that nobody should hand in but somebody will."""

from __future__ import annotations

import concurrent.futures
import contextvars
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import raddle
from raddle.futures import BrokenExecutor, ThreadPoolExecutor
from tests.python.futures.support import LONG, Gate, until

MakePool = Callable[..., ThreadPoolExecutor]


def test_it_is_an_executor_of_the_standard_library(pool: ThreadPoolExecutor) -> None:
    assert isinstance(pool, concurrent.futures.ThreadPoolExecutor)
    assert isinstance(pool.submit(int), concurrent.futures.Future)


def test_arguments_arrive_whatever_they_are_called(pool: ThreadPoolExecutor) -> None:
    def gather(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        return args, kwargs

    assert pool.submit(gather, 1, fn=2, self=3).result(LONG) == ((1,), {"fn": 2, "self": 3})
    view = pool.options(priority=1)
    assert view.submit(gather, 1, fn=2, self=3).result(LONG) == ((1,), {"fn": 2, "self": 3})


def test_tasks_of_one_worker_run_in_the_order_of_submission(single: ThreadPoolExecutor, gate: Gate) -> None:
    order: list[int] = []
    single.submit(gate)
    futures = [single.submit(order.append, number) for number in range(200)]
    gate.open()
    assert raddle.wait(futures, LONG).not_done == set()
    assert order == list(range(200))


def test_as_many_tasks_run_at_once_as_there_are_workers(make_pool: MakePool) -> None:
    pool = make_pool(7)
    barrier = threading.Barrier(7)
    futures = [pool.submit(barrier.wait, LONG) for _ in range(7)]
    assert sorted(future.result(LONG) for future in futures) == list(range(7))
    assert len(pool._threads) == 7


def test_workers_are_threads_that_everybody_sees(make_pool: MakePool) -> None:
    pool = make_pool(1, thread_name_prefix="weaver")
    thread = pool.submit(threading.current_thread).result(LONG)
    assert type(thread) is threading.Thread
    assert thread.name == "weaver_0"
    assert thread in threading.enumerate()
    assert thread in pool._threads


def test_a_default_name_tells_pools_apart(make_pool: MakePool) -> None:
    names = {make_pool(1).submit(lambda: threading.current_thread().name).result(LONG) for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("ThreadPoolExecutor-") and name.endswith("_0") for name in names)


def test_context_variables_travel(single: ThreadPoolExecutor) -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("submitter's")

    def change() -> str:
        before = variable.get()
        variable.set("task's")
        return before

    views = (single, single.options(retries=1), single.options(timeout=LONG))
    for view in views:
        assert view.submit(change).result(LONG) == "submitter's"
        assert list(view.map(lambda _: change(), range(3))) == ["submitter's"] * 3
    assert variable.get() == "submitter's"


class TestNested:
    """A task that waits for tasks of its own executor, which has one worker."""

    def test_result(self, single: ThreadPoolExecutor) -> None:
        def fibonacci(n: int) -> int:
            if n < 2:
                return n
            parts = [single.submit(fibonacci, n - 1), single.submit(fibonacci, n - 2)]
            return sum(part.result(LONG) for part in parts)

        assert single.submit(fibonacci, 9).result(LONG) == 34

    @pytest.mark.parametrize(
        "inner",
        [
            lambda pool: len(raddle.wait([pool.submit(int) for _ in range(3)], LONG).done),
            lambda pool: len(list(raddle.as_completed([pool.submit(int) for _ in range(3)], LONG))),
            lambda pool: len(list(pool.map(abs, range(3)))),
            lambda pool: len(list(pool.options(retries=1).map(abs, range(3)))),
            lambda pool: 3 if pool.submit(int).exception(LONG) is None else 0,
        ],
        ids=["wait", "as_completed", "map", "map with options", "exception"],
    )
    def test_other_ways_to_wait(
        self, single: ThreadPoolExecutor, inner: Callable[[ThreadPoolExecutor], int]
    ) -> None:
        assert single.submit(inner, single).result(LONG) == 3

    def test_compensation_does_not_outlive_the_wait(self, single: ThreadPoolExecutor) -> None:
        def nested(depth: int) -> int:
            return 0 if depth == 0 else 1 + single.submit(nested, depth - 1).result(LONG)

        assert single.submit(nested, 20).result(LONG) == 20
        until(lambda: single.stats().busy == 0 and single.stats().blocked == 0)
        running: list[int] = []
        most: list[int] = []

        def count() -> None:
            running.append(1)
            most.append(len(running))
            running.pop()

        raddle.wait([single.submit(count) for _ in range(200)], LONG)
        assert max(most) == 1

    def test_a_task_that_shuts_its_own_pool_down_is_told(self, make_pool: MakePool) -> None:
        pool = make_pool(2)
        with pytest.raises(RuntimeError):
            pool.submit(pool.shutdown).result(LONG)


class TestResize:
    def test_up_while_loaded(self, single: ThreadPoolExecutor) -> None:
        barrier = threading.Barrier(4)
        futures = [single.submit(barrier.wait, LONG) for _ in range(4)]
        single.resize(4)
        assert len({future.result(LONG) for future in futures}) == 4

    def test_down_while_loaded(self, make_pool: MakePool) -> None:
        pool = make_pool(4)
        gates = [Gate() for _ in range(4)]
        futures = [pool.submit(gate) for gate in gates]
        for gate in gates:
            gate.await_entry()
        pool.resize(1)
        late, order = Gate(), []
        futures.append(pool.submit(late))
        futures.append(pool.submit(order.append, "after"))
        for gate in gates:
            gate.open()
        late.await_entry()
        assert order == []
        assert pool.stats().queued == 1
        late.open()
        assert raddle.wait(futures, LONG).not_done == set()
        assert pool._max_workers == 1

    def test_back_and_forth_loses_nothing(self, single: ThreadPoolExecutor) -> None:
        futures = []
        for size in (3, 1, 8, 2, 5, 1):
            single.resize(size)
            futures += [single.submit(pow, 2, number) for number in range(50)]
        assert sum(future.result(LONG) for future in futures) == 6 * (2**50 - 1)
        until(lambda: single.stats().busy == 0)


class TestStats:
    def test_figures_follow_the_tasks(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        assert single.stats().workers == 0
        single.submit(gate)
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
        stats = single.stats()
        assert (stats.failed, stats.cancelled, stats.queued, stats.deferred) == (1, 1, 0, 0)

    def test_timeouts_and_retries_are_counted(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        single.options(timeout=0.01).submit(gate).exception(LONG)
        single.options(retries=2).submit(int, "x").exception(LONG)
        stats = single.stats()
        assert (stats.timed_out, stats.retried) == (1, 2)


class TestShutdown:
    def test_everything_accepted_is_done(self, make_pool: MakePool) -> None:
        pool = make_pool(2)
        futures = [pool.submit(pow, 2, number) for number in range(100)]
        threads = pool._threads
        pool.shutdown()
        assert all(future.done() for future in futures)
        assert not any(thread.is_alive() for thread in threads)
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(int)
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.map(int, [])
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.options(retries=1).submit(int)
        pool.shutdown()

    def test_without_waiting(self, make_pool: MakePool, gate: Gate) -> None:
        pool = make_pool(1)
        first, second = pool.submit(gate, 1), pool.submit(pow, 2, 3)
        pool.shutdown(wait=False)
        assert not first.done()
        gate.open()
        assert (first.result(LONG), second.result(LONG)) == (1, 8)

    def test_cancelling_what_has_not_begun(self, make_pool: MakePool, gate: Gate) -> None:
        pool = make_pool(1)
        running = pool.submit(gate, 1)
        gate.await_entry()
        queued = [pool.submit(int) for _ in range(5)]
        deferred = pool.options(after=[running]).submit(int)
        items = pool.map(abs, range(3))
        pool.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in [*queued, deferred])
        assert not running.done()
        gate.open()
        assert running.result(LONG) == 1
        with pytest.raises(concurrent.futures.CancelledError):
            next(items)

    def test_cancelling_while_a_retry_is_due(self, make_pool: MakePool) -> None:
        pool = make_pool(1)
        future = pool.options(retries=1, backoff=lambda _: 3600).submit(int, "x")
        until(lambda: pool.stats().deferred)
        pool.shutdown(cancel_futures=True)
        assert future.cancelled()

    def test_the_with_block_waits_also_when_it_raises(self) -> None:
        gate = Gate()
        threading.Timer(0.01, gate.open).start()
        futures = []

        def body() -> None:
            with ThreadPoolExecutor(1) as pool:
                futures.append(pool.submit(gate, 5))
                raise KeyError

        with pytest.raises(KeyError):
            body()
        assert futures[0].done()


class TestInitializer:
    def test_runs_once_in_each_thread(self, make_pool: MakePool) -> None:
        seen: list[tuple[str, int]] = []
        barrier = threading.Barrier(3)
        pool = make_pool(
            3, initializer=lambda n: seen.append((threading.current_thread().name, n)), initargs=(7,)
        )
        raddle.wait([pool.submit(barrier.wait, LONG) for _ in range(3)] + [pool.submit(int)], LONG)
        assert sorted(seen) == sorted((thread.name, 7) for thread in pool._threads)

    def test_one_that_raises_breaks_the_pool(
        self, make_pool: MakePool, caplog: pytest.LogCaptureFixture
    ) -> None:
        released = threading.Event()

        def fail() -> None:
            released.wait(LONG)
            raise ValueError("no")

        pool = make_pool(1, initializer=fail)
        futures = [pool.submit(int), pool.options(retries=2).submit(int)]
        items = pool.map(abs, [1])
        futures.append(pool.options(after=[futures[0]]).submit(int))
        released.set()
        assert [type(future.exception(LONG)).__name__ for future in futures[:2]] == ["BrokenThreadPool"] * 2
        assert futures[2].exception(LONG) is not None
        with pytest.raises(BrokenExecutor):
            next(items)
        with pytest.raises(BrokenExecutor):
            pool.submit(int)
        pool.shutdown()
        assert "Exception in initializer" in caplog.text


class TestBadInput:
    @pytest.mark.parametrize("workers", [0, -1])
    def test_no_workers(self, workers: int) -> None:
        with pytest.raises(ValueError, match="max_workers must be greater than 0"):
            ThreadPoolExecutor(workers)

    @pytest.mark.parametrize(
        ("error", "arguments"),
        [
            (TypeError, {"max_workers": 1.5}),
            (TypeError, {"max_workers": "2"}),
            (TypeError, {"initializer": 5}),
            (ValueError, {"max_pending": 0}),
            (TypeError, {"max_pending": 1.5}),
            (ValueError, {"on_full": "wait"}),
            (ValueError, {"native_threads": 0}),
        ],
        ids=str,
    )
    def test_constructor(self, error: type[Exception], arguments: dict[str, Any]) -> None:
        with pytest.raises(error):
            ThreadPoolExecutor(**arguments)

    @pytest.mark.parametrize("size", [0, -3, 1.5, "2"])
    def test_resize(self, single: ThreadPoolExecutor, size: Any) -> None:
        with pytest.raises((ValueError, TypeError)):
            single.resize(size)
        assert single.submit(pow, 2, 3).result(LONG) == 8

    def test_nothing_to_call(self, single: ThreadPoolExecutor) -> None:
        with pytest.raises(TypeError):
            single.submit()  # type: ignore[call-arg]

    @pytest.mark.parametrize("thing", [5, None, "name"])
    def test_something_that_cannot_be_called(self, single: ThreadPoolExecutor, thing: Any) -> None:
        with pytest.raises(TypeError, match="not callable"):
            single.submit(thing).result(LONG)
        with pytest.raises(TypeError, match="not callable"):
            list(single.map(thing, [1]))

    @pytest.mark.parametrize(
        "kind", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException, RecursionError]
    )
    def test_a_task_that_raises_anything(self, single: ThreadPoolExecutor, kind: type[BaseException]) -> None:
        def fail() -> None:
            raise kind("no")

        for view in (single, single.options(timeout=LONG)):
            assert type(view.submit(fail).exception(LONG)) is kind
        with pytest.raises(kind):
            list(single.map(lambda _: fail(), [1]))
        assert single.submit(pow, 2, 3).result(LONG) == 8
        assert single.stats().workers == 1

    def test_endless_recursion(self, single: ThreadPoolExecutor) -> None:
        def recurse() -> None:
            recurse()

        with pytest.raises(RecursionError):
            single.submit(recurse).result(LONG)
        assert single.submit(pow, 2, 3).result(LONG) == 8

    def test_sys_exit_ends_nothing(self, single: ThreadPoolExecutor) -> None:
        with pytest.raises(SystemExit) as raised:
            single.submit(sys.exit, 3).result(LONG)
        assert raised.value.code == 3
        assert single.submit(pow, 2, 3).result(LONG) == 8

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_a_result_and_an_error_whose_del_raises(self, single: ThreadPoolExecutor) -> None:
        class Result:
            def __del__(self) -> None:
                raise ValueError("del")

        class Failure(Exception):
            def __del__(self) -> None:
                raise ValueError("del")

        def fail() -> None:
            raise Failure

        single.submit(Result)
        single.submit(fail)
        single.map(lambda _: Result(), range(3))
        assert single.submit(pow, 2, 3).result(LONG) == 8

    def test_callables_that_refuse_to_be_described(self, single: ThreadPoolExecutor) -> None:
        class Hostile:
            def __getattr__(self, name: str) -> Any:
                raise RuntimeError(name)

            def __call__(self) -> int:
                return 5

        class Misnamed:
            def __call__(self) -> int:
                return 6

        misnamed = Misnamed()
        misnamed.__qualname__ = 7  # type: ignore[attr-defined]
        assert single.submit(Hostile()).result(LONG) == 5
        future = single.submit(misnamed)
        assert future.result(LONG) == 6
        assert isinstance(future.name, (str, type(None)))

    def test_an_executor_that_was_never_initialised(self) -> None:
        class Forgetful(ThreadPoolExecutor):
            def __init__(self) -> None:
                pass

        with pytest.raises(RuntimeError, match="never initialised"):
            Forgetful().submit(int)
