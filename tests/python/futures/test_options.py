"""`ThreadPoolExecutor.options`: timeouts, retries, dependencies, priorities, names."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import raddle
from raddle.futures import Future, ThreadPoolExecutor
from tests.python.futures.support import LONG, Gate, run_program, until

MakePool = Callable[..., ThreadPoolExecutor]


class Flaky:
    """Fails so many times, then returns how often it was called."""

    def __init__(self, failures: int, error: type[BaseException] = ValueError) -> None:
        self.calls = 0
        self.failures = failures
        self.error = error

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error(self.calls)
        return self.calls


def begun(generator: Iterator[None]) -> Iterator[None]:
    """Lead a generator up to its first `yield`.

    A task that goes on with it is inside the `try` around that `yield` from its first bytecode on: no interruption can
    come before, however late the worker is.
    """
    next(generator)
    return generator


class TestTimeout:
    def test_the_future_fails_and_the_task_is_interrupted(self, single: ThreadPoolExecutor) -> None:
        seen: list[BaseException] = []

        def spin() -> Iterator[None]:
            try:
                yield
                while True:
                    pass
            except BaseException as error:
                seen.append(error)
                raise

        future = single.options(timeout=0.02).submit(next, begun(spin()))
        with pytest.raises(raddle.TaskTimeout, match=r"0\.02 s.*in spin"):
            future.result(LONG)
        until(lambda: seen)
        assert type(seen[0]) is raddle.TaskTimeout
        until(lambda: single.stats().blocked == 0)
        assert single.submit(pow, 2, 3).result(LONG) == 8
        assert isinstance(future.exception(), TimeoutError)
        assert future.duration is not None
        assert 0.02 <= future.duration < LONG

    def test_counts_from_the_start_of_the_task(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        single.submit(gate)
        gate.await_entry()
        waiting = single.options(timeout=0.05).submit(pow, 2, 3)
        assert not raddle.wait([waiting], 0.2).done
        gate.open()
        error = waiting.exception(LONG)
        # On a slow machine even this task may take that long.
        assert error is None or (waiting.duration or 0) >= 0.05

    def test_one_that_never_comes_back_is_replaced(self, make_pool: MakePool) -> None:
        pool = make_pool(2)
        lock = threading.Lock()
        with lock:
            stuck = [pool.options(timeout=0.01).submit(lock.acquire) for _ in range(6)]
            for future in stuck:
                with pytest.raises(raddle.TaskTimeout):
                    future.result(LONG)
            barrier = threading.Barrier(2)
            raddle.wait([pool.submit(barrier.wait, LONG) for _ in range(2)], LONG)
            assert not barrier.broken
            assert pool.submit(pow, 2, 3).result(LONG) == 8
            assert pool.stats().blocked == 6
            pool.shutdown()  # does not wait for those that were given up
        for _ in stuck:
            until(lock.locked)
            lock.release()

    def test_one_that_comes_back_late_works_on(self, single: ThreadPoolExecutor) -> None:
        lock = threading.Lock()
        lock.acquire()
        with pytest.raises(raddle.TaskTimeout):
            single.options(timeout=0.01).submit(lock.acquire).result(LONG)
        assert single.submit(pow, 2, 3).result(LONG) == 8
        lock.release()
        until(lambda: single.stats().blocked == 0)
        until(lambda: single.stats().busy == 0)
        assert [single.submit(pow, 2, number).result(LONG) for number in range(20)][-1] == 2**19
        until(lambda: single.stats().busy == 0)

    def test_the_interruption_hits_no_later_task(self, single: ThreadPoolExecutor) -> None:
        def close_call(lock: threading.Lock) -> None:
            lock.acquire(timeout=0.0105)

        def innocent() -> int:
            return sum(range(2000))

        for _ in range(100):
            lock = threading.Lock()
            lock.acquire()
            close = single.options(timeout=0.01).submit(close_call, lock)
            others = [single.submit(innocent) for _ in range(5)]
            assert [other.result(LONG) for other in others] == [1999000] * 5
            assert isinstance(close.exception(LONG), (raddle.TaskTimeout, type(None)))

    def test_a_task_blocked_in_a_nested_wait(self, single: ThreadPoolExecutor) -> None:
        never: Future[int] = Future()
        for wait in (never.result, lambda: never.result(), lambda: raddle.wait([never])):
            with pytest.raises(raddle.TaskTimeout):
                single.options(timeout=0.02).submit(wait).result(LONG)
            assert single.submit(pow, 2, 3).result(LONG) == 8
        stats = single.stats()
        assert stats.busy <= stats.workers
        never.set_result(1)
        until(lambda: single.stats().blocked == 0)
        assert single.submit(pow, 2, 3).result(LONG) == 8
        until(lambda: single.stats().busy == 0)

    def test_a_task_that_swallows_it_and_then_waits(self, single: ThreadPoolExecutor) -> None:
        later: Future[int] = Future()
        swallowed = threading.Event()

        def stubborn() -> Iterator[None]:
            try:
                yield
                while True:
                    pass
            except raddle.TaskTimeout:
                swallowed.set()
                later.result(LONG)

        future = single.options(timeout=0.02).submit(next, begun(stubborn()))
        assert isinstance(future.exception(LONG), raddle.TaskTimeout)
        assert swallowed.wait(LONG)
        assert single.submit(pow, 2, 3).result(LONG) == 8
        later.set_result(1)
        until(lambda: single.stats().blocked == 0)
        until(lambda: single.stats().busy == 0)
        assert single.submit(pow, 2, 3).result(LONG) == 8

    def test_many_at_once(self, make_pool: MakePool) -> None:
        pool = make_pool(4)

        def spin() -> None:
            while True:
                pass

        futures = [pool.options(timeout=0.002 * (1 + number % 5)).submit(spin) for number in range(60)]
        for future in futures:
            assert isinstance(future.exception(LONG), raddle.TaskTimeout)
        until(lambda: pool.stats().blocked == 0)
        assert pool.submit(pow, 2, 3).result(LONG) == 8
        assert pool.stats().timed_out == 60

    def test_the_interpreter_looks_for_the_interruption_no_longer(self) -> None:
        """CPython 3.11 would never get past the first line of a function that is traced."""
        ended = run_program("""
            import sys, time, threading
            from raddle.futures import ThreadPoolExecutor

            def spin():
                while True:
                    pass

            with ThreadPoolExecutor(1) as pool:
                for task in (spin, lambda: time.sleep(0.1)):
                    print(type(pool.options(timeout=0.05).submit(task).exception()).__name__)
                pool.submit(int).result()
            threading.settrace(lambda frame, event, arg: None)
            thread = threading.Thread(target=print, args=["traced"], daemon=True)
            thread.start()
            thread.join(30)
        """)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.split() == ["TaskTimeout", "TaskTimeout", "traced"]


class TestRetries:
    def test_until_it_works(self, single: ThreadPoolExecutor) -> None:
        future = single.options(retries=5).submit(Flaky(3))
        assert future.result(LONG) == 4
        assert single.stats().retried == 3
        assert single.stats().failed == 0

    def test_the_last_failure_counts(self, single: ThreadPoolExecutor) -> None:
        flaky = Flaky(9)
        with pytest.raises(ValueError, match="3"):
            single.options(retries=2).submit(flaky).result(LONG)
        assert flaky.calls == 3

    def test_only_for_the_classes_asked_for(self, single: ThreadPoolExecutor) -> None:
        for kinds in (KeyError, (KeyError, OSError), [LookupError]):
            flaky = Flaky(9)
            assert single.options(retries=5, retry_on=kinds).submit(flaky).exception(LONG) is not None
            assert flaky.calls == 1
        assert single.options(retries=5, retry_on=(OSError, ValueError)).submit(Flaky(2)).result(LONG) == 3
        flaky = Flaky(9, SystemExit)
        assert isinstance(single.options(retries=5).submit(flaky).exception(LONG), SystemExit)
        assert flaky.calls == 1
        assert single.options(retries=5, retry_on=SystemExit).submit(Flaky(2, SystemExit)).result(LONG) == 3

    @pytest.mark.parametrize(
        ("kinds", "attempts"),
        [
            (OSError, 1),
            ((OSError, ValueError), 1),
            (raddle.TaskTimeout, 3),
            (TimeoutError, 3),
            ((OSError, TimeoutError), 3),
            (Exception, 3),
            (BaseException, 3),
        ],
        ids=str,
    )
    def test_a_timeout_is_meant_by_its_name_not_by_oserror(
        self, make_pool: MakePool, gate: Gate, kinds: Any, attempts: int
    ) -> None:
        pool = make_pool(2)
        future = pool.options(timeout=0.01, retries=2, retry_on=kinds).submit(gate)
        assert isinstance(future.exception(LONG), raddle.TaskTimeout)
        assert pool.stats().timed_out == attempts
        assert pool.options(retries=2, retry_on=OSError).submit(Flaky(2, OSError)).result(LONG) == 3

    def test_after_a_timeout(self, make_pool: MakePool) -> None:
        pool = make_pool(2)
        first = threading.Event()

        def slow_at_first() -> str:
            if first.is_set():
                return "quick"
            first.set()
            while True:
                pass

        # One retry would do, but on a slow machine more attempts may take that long.
        assert pool.options(timeout=0.05, retries=1000).submit(slow_at_first).result(LONG) == "quick"
        assert pool.stats().timed_out == pool.stats().retried >= 1

    def test_a_schedule_says_how_long_to_wait(self, single: ThreadPoolExecutor) -> None:
        asked: list[int] = []

        def schedule(attempt: int) -> float:
            asked.append(attempt)
            return 0.001

        assert single.options(retries=5, backoff=schedule).submit(Flaky(3)).result(LONG) == 4
        assert asked == [1, 2, 3]

    def test_pauses_are_bounded_by_the_doubled_backoff(self, single: ThreadPoolExecutor) -> None:
        future = single.options(retries=3, backoff=0.01).submit(Flaky(3))
        assert future.result(LONG) == 4

    def test_a_pause_occupies_no_worker(self, single: ThreadPoolExecutor) -> None:
        future = single.options(retries=1, backoff=lambda _: 3600).submit(Flaky(1))
        until(lambda: single.stats().deferred == 1)
        assert single.submit(pow, 2, 3).result(LONG) == 8
        assert future.cancel()
        assert single.stats().deferred == 0
        assert single.stats().cancelled == 1

    def test_a_schedule_that_fails_ends_the_task(self, single: ThreadPoolExecutor) -> None:
        future = single.options(retries=5, backoff=lambda _: 1 / 0).submit(Flaky(9))
        error = future.exception(LONG)
        assert isinstance(error, ZeroDivisionError)
        assert isinstance(error.__context__, ValueError)
        assert isinstance(single.options(retries=5, backoff=str).submit(Flaky(9)).exception(LONG), TypeError)

    def test_attempts_are_done_before_shutdown_returns(self) -> None:
        with ThreadPoolExecutor(1) as pool:
            future = pool.options(retries=5, backoff=0.01).submit(Flaky(3))
        assert future.result(0) == 4


class TestAfter:
    @pytest.mark.parametrize("kind", [Future, concurrent.futures.Future])
    def test_not_before_all_are_done(
        self, single: ThreadPoolExecutor, kind: Callable[[], Future[int]]
    ) -> None:
        first, second = kind(), kind()
        dependant = single.options(after=[first, second]).submit(pow, 2, 3)
        first.set_result(1)
        assert single.submit(int).result(LONG) == 0
        assert not dependant.done()
        second.set_result(2)
        assert dependant.result(LONG) == 8

    def test_of_futures_that_are_done(self, single: ThreadPoolExecutor) -> None:
        done = single.submit(int)
        done.result(LONG)
        assert single.options(after=[done, done]).submit(pow, 2, 3).result(LONG) == 8
        assert single.options(after=done).submit(pow, 2, 3).result(LONG) == 8

    @pytest.mark.parametrize("kind", [Future, concurrent.futures.Future])
    def test_a_failure_is_the_cause(
        self, single: ThreadPoolExecutor, kind: Callable[[], Future[int]]
    ) -> None:
        failing, open_ = kind(), kind()
        calls: list[int] = []
        dependant = single.options(after=[open_, failing], retries=3).submit(calls.append, 1)
        later = single.options(after=dependant).submit(calls.append, 2)
        failing.set_exception(KeyError("root"))
        error = dependant.exception(LONG)
        assert type(error) is raddle.DependencyFailed
        assert isinstance(error.__cause__, KeyError)
        second = later.exception(LONG)
        assert type(second) is raddle.DependencyFailed
        assert second.__cause__ is error
        open_.set_result(1)
        assert calls == []

    @pytest.mark.parametrize("kind", [Future, concurrent.futures.Future])
    def test_a_cancelled_one(self, single: ThreadPoolExecutor, kind: Callable[[], Future[int]]) -> None:
        cancelled = kind()
        dependant = single.options(after=cancelled).submit(int)
        cancelled.cancel()
        error = dependant.exception(LONG)
        assert type(error) is raddle.DependencyFailed
        assert isinstance(error.__cause__, concurrent.futures.CancelledError)

    def test_across_executors_in_a_diamond(self, make_pool: MakePool) -> None:
        one, two = make_pool(1), make_pool(1)
        order: list[str] = []
        top = one.submit(order.append, "top")
        sides = [pool.options(after=top).submit(order.append, "side") for pool in (one, two)]
        bottom = two.options(after=sides).submit(order.append, "bottom")
        bottom.result(LONG)
        assert order == ["top", "side", "side", "bottom"]

    def test_a_long_chain(self, single: ThreadPoolExecutor) -> None:
        future = single.submit(int)
        for _ in range(3000):
            future = single.options(after=future).submit(int)
        assert future.result(LONG) == 0

    def test_a_long_chain_that_fails(self) -> None:
        ended = run_program("""
            import threading
            from raddle.futures import ThreadPoolExecutor

            hold = threading.Event()
            with ThreadPoolExecutor(1) as pool:
                future = first = pool.submit(lambda: hold.wait() / 0)
                for _ in range(20_000):
                    future = pool.options(after=future).submit(int)
                hold.set()
                print(type(first.exception()).__name__, type(future.exception()).__name__)
        """)
        assert (ended.code, ended.out) == (0, "ZeroDivisionError DependencyFailed\n"), ended.err

    def test_cancelling_the_dependant(self, single: ThreadPoolExecutor) -> None:
        first: Future[int] = Future()
        dependant = single.options(after=first).submit(int)
        assert dependant.cancel()
        assert single.stats().deferred == 0
        first.set_result(1)
        assert dependant.cancelled()


def test_higher_priorities_start_first_and_equals_in_order(single: ThreadPoolExecutor, gate: Gate) -> None:
    order: list[tuple[int, int]] = []
    single.submit(gate)
    gate.await_entry()
    submitted = [(priority, number) for number in range(20) for priority in (0, 5, -3, 2)]
    futures = [single.options(priority=task[0]).submit(order.append, task) for task in submitted]
    gate.open()
    raddle.wait(futures, LONG)
    assert order == sorted(submitted, key=lambda task: -task[0])


def test_names(single: ThreadPoolExecutor) -> None:
    assert single.options(name="wash").submit(int).name == "wash"
    assert single.options(priority=2).submit(Flaky(0).__call__).name == "Flaky.__call__"


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": "1"},
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
        {"timeout": True},
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
def test_options_that_make_no_sense(single: ThreadPoolExecutor, options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        single.options(**options)
    assert single.submit(pow, 2, 3).result(LONG) == 8


@pytest.mark.parametrize("option", ["after", "retry_on"])
def test_a_refusal_names_the_option(single: ThreadPoolExecutor, option: str) -> None:
    with pytest.raises(TypeError, match=option):
        single.options(**{option: None})


def test_seconds_beyond_all_floats(single: ThreadPoolExecutor) -> None:
    assert single.options(timeout=10**400).submit(pow, 2, 3).result(LONG) == 8
    with pytest.raises(ValueError, match="backoff"):
        single.options(backoff=10**400)
