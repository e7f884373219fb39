"""`options` on threads, whose tasks are interrupted; what holds for every executor stands in tests/python/executors."""

from __future__ import annotations

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

    def test_the_collector_lets_nobody_in_while_all_frames_are_looked_at(self) -> None:
        """CPython 3.11 stood still for ever then, when another thread started or ended: gh-106883."""
        ended = run_program("""
            import gc, sys, threading, time
            from raddle.futures import ThreadPoolExecutor

            def linger(phase, info):
                below = sys._getframe().f_back
                if below is not None and below.f_code.co_name == "describe_stack":
                    time.sleep(0.01)

            def start_threads():
                while not over.is_set():
                    thread = threading.Thread(target=int)
                    thread.start()
                    thread.join()

            over = threading.Event()
            threading.Thread(target=start_threads).start()
            gc.callbacks.append(linger)
            gc.set_threshold(1)
            with ThreadPoolExecutor(1) as pool:
                print(type(pool.options(timeout=0.01).submit(time.sleep, 0.5).exception()).__name__)
            over.set()
        """)
        assert (ended.code, ended.err, ended.out.split()) == (0, "", ["TaskTimeout"])


class TestRetries:
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

    def test_pauses_are_bounded_by_the_doubled_backoff(self, single: ThreadPoolExecutor) -> None:
        future = single.options(retries=3, backoff=0.01).submit(Flaky(3))
        assert future.result(LONG) == 4


class TestAfter:
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


@pytest.mark.parametrize("option", ["after", "retry_on"])
def test_a_refusal_names_the_option(single: ThreadPoolExecutor, option: str) -> None:
    with pytest.raises(TypeError, match=option):
        single.options(**{option: None})
