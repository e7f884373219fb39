"""`ThreadPoolExecutor`: its threads; what it shares with every executor stands in tests/python/executors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import raddle
from raddle.futures import ThreadPoolExecutor
from tests.python.futures.support import LONG, until

MakePool = Callable[..., ThreadPoolExecutor]


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


class TestNested:
    """A task that waits for tasks of its own executor, which has one worker."""

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


class TestInitializer:
    def test_runs_once_in_each_thread(self, make_pool: MakePool) -> None:
        seen: list[tuple[str, int]] = []
        barrier = threading.Barrier(3)
        pool = make_pool(
            3, initializer=lambda n: seen.append((threading.current_thread().name, n)), initargs=(7,)
        )
        raddle.wait([pool.submit(barrier.wait, LONG) for _ in range(3)] + [pool.submit(int)], LONG)
        assert sorted(seen) == sorted((thread.name, 7) for thread in pool._threads)


class TestBadInput:
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
