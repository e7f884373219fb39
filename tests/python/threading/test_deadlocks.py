"""Deadlocks raise, in exactly one of their threads, and say what they are made of; nothing else does."""

from __future__ import annotations

import inspect
import sys
import threading as stdlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

import raddle
from raddle import threading
from raddle.threading import DeadlockError, DeadlockWarning
from tests.python.futures.support import LONG, until, until_asleep


class Raised:
    """Runs calls in threads, and keeps the deadlocks that they raise."""

    def __init__(self) -> None:
        self.errors: list[DeadlockError] = []
        self.threads: list[threading.Thread] = []

    def start(self, name: str, call: Callable[..., object], *args: object) -> threading.Thread:
        def guarded() -> None:
            try:
                call(*args)
            except DeadlockError as error:
                self.errors.append(error)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self.threads.append(thread)
        thread.start()
        return thread

    def finish(self) -> list[DeadlockError]:
        for thread in self.threads:
            thread.join(LONG)
            assert not thread.is_alive(), f"{thread} hangs"
        return self.errors


@pytest.fixture
def raised() -> Raised:
    return Raised()


@pytest.fixture(autouse=True)
def policy() -> Iterator[None]:
    """No test leaves its policy behind."""
    before = threading.deadlock_policy("warn")
    yield
    threading.deadlock_policy(before)


def line_of(function: Callable[..., Any], text: str) -> str:
    """Return the place of the line with `text` in a function, as `FILE:LINE in FUNCTION`."""
    lines, first = inspect.getsourcelines(function)
    (offset,) = (offset for offset, line in enumerate(lines) if text in line)
    return f"{function.__code__.co_filename}:{first + offset} in {function.__name__}"


def assert_circle(error: DeadlockError) -> None:
    """Each member wants what the next one holds."""
    for index, member in enumerate(error.members):
        following = error.members[(index + 1) % len(error.members)]
        assert any(member.wants is thing for thing in following.holds)
        assert member.name in str(error)
        assert member.where in str(error)
        assert member.stack[-1].filename == __file__


def take_both(first: Any, second: Any, ready: stdlib.Barrier) -> None:
    with first:
        ready.wait(LONG)
        with second:  # here
            pass


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("fair", [False, True])
def test_a_circle_of_rlocks(count: int, fair: bool, raised: Raised) -> None:
    locks = [threading.RLock(fair=fair) for _ in range(count)]
    ready = stdlib.Barrier(count)
    for number in range(count):
        raised.start(f"thread {number}", take_both, locks[number], locks[(number + 1) % count], ready)
    (error,) = raised.finish()
    assert_circle(error)
    assert len(error.members) == count
    assert {member.name for member in error.members} == {f"thread {number}" for number in range(count)}
    assert {member.thread for member in error.members} == set(raised.threads)
    for member in error.members:
        number = int(member.name.split()[1])
        assert member.holds == (locks[number],)
        assert member.wants is locks[(number + 1) % count]
        assert member.where == line_of(take_both, "# here")
        assert member.acquired == (None,)
    assert f"a circle of {count} threads" in str(error)


@pytest.mark.slow
def test_two_hundred_deadlocks_raise_once_each(raised: Raised) -> None:
    for _ in range(200):
        raised = Raised()
        first, second = threading.RLock(), threading.RLock()
        ready = stdlib.Barrier(2)
        raised.start("one", take_both, first, second, ready)
        raised.start("two", take_both, second, first, ready)
        assert len(raised.finish()) == 1


def test_where_locks_were_acquired_is_told_on_demand(raised: Raised) -> None:
    before = threading.track(True)
    try:
        first, second = threading.RLock(), threading.RLock()
        ready = stdlib.Barrier(2)
        raised.start("one", take_both, first, second, ready)
        raised.start("two", take_both, second, first, ready)
        (error,) = raised.finish()
    finally:
        threading.track(before)
    place = line_of(take_both, "with first:")
    assert [member.acquired for member in error.members] == [(place,), (place,)]
    assert f"acquired at {place}" in str(error)


def test_a_lock_that_the_joined_thread_wants(raised: Raised) -> None:
    lock = threading.RLock()
    with lock:
        thread = raised.start("joined", lock.acquire)
        until_asleep(thread)
        with pytest.raises(DeadlockError) as caught:
            thread.join()
        assert_circle(caught.value)
        main, other = caught.value.members
        assert main.thread is threading.current_thread()
        assert main.wants is thread
        assert main.holds == (lock,)
        assert other.thread is thread
        assert other.wants is lock
        assert f"wants the end of {thread!r}" in str(caught.value)
    assert raised.finish() == []


def test_threads_that_join_each_other(raised: Raised) -> None:
    threads: list[threading.Thread] = []
    ready = stdlib.Event()

    def join(number: int) -> None:
        ready.wait(LONG)
        threads[number].join()

    threads += [raised.start("one", join, 1), raised.start("two", join, 0)]
    ready.set()
    (error,) = raised.finish()
    assert_circle(error)
    assert {member.wants for member in error.members} == set(threads)


@pytest.mark.parametrize("method", ["result", "exception"])
@pytest.mark.parametrize("options", [{}, {"retries": 2}])
def test_a_lock_that_the_awaited_task_wants(method: str, options: dict[str, Any]) -> None:
    lock = threading.RLock()

    def task() -> int:
        with lock:
            return 1

    with raddle.ThreadPoolExecutor(1) as pool:
        with lock:
            future = (pool.options(**options) if options else pool).submit(task)
            until(lambda: [wait for wait in raddle._raddle.waits() if wait[2] is lock])
            with pytest.raises(DeadlockError) as caught:
                getattr(future, method)()
            assert_circle(caught.value)
            main, worker = caught.value.members
            assert main.wants is future
            assert future in worker.holds
            assert worker.name == future.worker
            assert f"wants the result of {future!r}" in str(caught.value)
        assert future.result() == 1


def test_a_task_that_waits_for_one_who_waits_for_it() -> None:
    with raddle.ThreadPoolExecutor(2) as pool:
        ready = stdlib.Event()
        futures: list[raddle.Future[Any]] = []

        def task(number: int) -> object:
            ready.wait(LONG)
            return futures[number].exception()

        futures += [pool.submit(task, 1), pool.submit(task, 0)]
        ready.set()
        errors = [future.exception() for future in futures]
        (error,) = (error for error in errors if error is not None)
        assert isinstance(error, DeadlockError)
        # The other one got the error as its result.
        assert error in [future.result() for future in futures if future.exception() is None]


def test_a_circle_through_everything(raised: Raised) -> None:
    """A thread that is joined waits for a task that wants a lock whose holder joins."""
    lock = threading.RLock()
    with raddle.ThreadPoolExecutor(1) as pool:
        with lock:
            future = pool.submit(lambda: lock.acquire() and lock.release())
            thread = raised.start("waits for the task", future.result)
            until(lambda: len(raddle._raddle.sleepers()) == 2)
            with pytest.raises(DeadlockError) as caught:
                thread.join()
            assert_circle(caught.value)
            assert [member.wants for member in caught.value.members] == [thread, future, lock]
        assert raised.finish() == []


# ------------------------------------------------------------------------------------------- no false alarms


def test_a_wait_with_a_timeout_never_closes_a_circle(raised: Raised) -> None:
    first, second = threading.RLock(), threading.RLock()
    ready = stdlib.Barrier(2)
    had: list[bool] = []

    def take(own: Any, other: Any) -> None:
        with own:
            ready.wait(LONG)
            had.append(other.acquire(timeout=0.05))
            if had[-1]:
                other.release()

    raised.start("one", take, first, second)
    raised.start("two", take, second, first)
    assert raised.finish() == []
    assert False in had


def test_one_untimed_wait_and_a_timed_one_are_no_deadlock(raised: Raised) -> None:
    lock = threading.RLock()
    with lock:
        thread = raised.start("waits", lock.acquire)
        until_asleep(thread)
        thread.join(0.05)
        assert thread.is_alive()
    assert raised.finish() == []


def test_a_task_in_the_queue_has_no_thread_that_could_be_stuck(raised: Raised) -> None:
    lock = threading.RLock()
    with raddle.ThreadPoolExecutor(1) as pool:
        with lock:
            pool.submit(lambda: lock.acquire() and lock.release())
            queued = pool.submit(int)
            thread = raised.start("waits", queued.result)
            until(lambda: len(raddle._raddle.sleepers()) == 2)
            thread.join(0.05)
            assert thread.is_alive()
        assert raised.finish() == []
        assert queued.result() == 0


def test_a_task_with_a_timeout_ends_by_itself() -> None:
    lock = threading.RLock()
    with raddle.ThreadPoolExecutor(1) as pool, lock:
        future = pool.options(timeout=0.1).submit(lock.acquire)
        assert isinstance(future.exception(), raddle.TaskTimeout)


def test_a_task_with_a_timeout_is_not_stuck_in_a_circle_of_locks(raised: Raised) -> None:
    first, second = threading.RLock(), threading.RLock()
    ready = stdlib.Barrier(2)
    with raddle.ThreadPoolExecutor(1) as pool:
        future = pool.options(timeout=0.2).submit(take_both, first, second, ready)
        raised.start("waits", take_both, second, first, ready)
        assert isinstance(future.exception(), raddle.TaskTimeout)
        assert raised.finish() == []


def test_a_future_that_is_made_by_hand_may_be_ended_by_anybody(raised: Raised) -> None:
    lock, future = threading.RLock(), raddle.Future[int]()

    def run() -> None:
        future.set_running_or_notify_cancel()
        lock.acquire()

    def wait() -> None:
        with lock:
            until_asleep(raised.start("runs it", run))
            assert future.result() == 1

    waiting = raised.start("waits", wait)
    until(lambda: len(raddle._raddle.sleepers()) == 2)
    future.set_result(1)
    waiting.join(LONG)
    assert raised.finish() == []


@contextmanager
def recorded() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield seen


def abba_of_locks(raised: Raised) -> tuple[Any, Any]:
    first, second = threading.Lock(), threading.Lock()
    ready = stdlib.Barrier(2)
    for name, own, other in (("one", first, second), ("two", second, first)):

        def take(own: Any = own, other: Any = other) -> None:
            own.acquire()
            try:
                ready.wait(LONG)
                with other:
                    pass
            finally:
                # The test may have done so for this thread.
                with suppress(RuntimeError):
                    own.release()

        raised.start(name, take)
    return first, second


def is_asleep_in_both() -> bool:
    return len(raddle._raddle.sleepers()) == 2


def test_a_circle_with_a_plain_lock_is_warned_of(raised: Raised) -> None:
    with recorded() as seen:
        first, _ = abba_of_locks(raised)
        until(lambda: seen and is_asleep_in_both())
        first.release()  # which anybody may do
        errors = raised.finish()
    assert errors == []
    (warning,) = seen
    assert warning.category is DeadlockWarning
    text = str(warning.message)
    assert "this may be a deadlock" in text
    assert "deadlock_policy" in text
    for name in ("one", "two"):
        assert f"Thread {name!r} at {__file__}:" in text
        assert f"Stack of {name!r}:" in text
    assert text.count("with other:") == 2
    assert warning.filename == __file__


@pytest.mark.slow
def test_a_circle_is_warned_of_once_for_each_thread(raised: Raised) -> None:
    lock = threading.Lock()

    def wait_for_myself(times: int) -> None:
        lock.acquire()
        for _ in range(times):
            release = stdlib.Timer(0.8, lock.release)
            release.start()
            lock.acquire()
            release.join()
        lock.release()

    with recorded() as seen:
        for times in (2, 1):
            raised.start("waits for itself", wait_for_myself, times)
            raised.finish()
    assert [warning.category for warning in seen] == [DeadlockWarning, DeadlockWarning]


@pytest.mark.slow
def test_a_lock_that_another_thread_releases_in_time_is_no_deadlock() -> None:
    lock = threading.Lock()
    with recorded() as seen:
        for _ in range(5):
            lock.acquire()
            threading.Timer(0.2, lock.release).start()
            lock.acquire()
            lock.release()
    assert seen == []


def test_a_thread_that_waits_for_itself(raised: Raised) -> None:
    threading.deadlock_policy("raise")
    lock = threading.Lock()

    def twice() -> None:
        with lock:
            lock.acquire()

    raised.start("itself", twice)
    (error,) = raised.finish()
    (member,) = error.members
    assert member.name == "itself"
    assert member.holds == (lock,)
    assert member.wants is lock
    assert "waits for itself" in str(error)
    assert not lock.locked()


def test_the_policy_may_be_to_raise(raised: Raised) -> None:
    assert threading.deadlock_policy("raise") == "warn"
    abba_of_locks(raised)
    (error,) = raised.finish()
    assert_circle(error)


def test_the_policy_may_be_to_say_nothing(raised: Raised) -> None:
    threading.deadlock_policy("off")
    with recorded() as seen:
        first, _ = abba_of_locks(raised)
        until(is_asleep_in_both)
        first.release()
        assert raised.finish() == []
    assert seen == []
    with pytest.raises(ValueError, match="not 'loud'"):
        threading.deadlock_policy("loud")  # type: ignore[arg-type]


def test_who_makes_the_warning_an_error_gets_one(raised: Raised) -> None:
    caught: list[DeadlockWarning] = []
    lock = threading.Lock()

    def twice() -> None:
        with lock:
            try:
                lock.acquire()
            except DeadlockWarning as warning:
                caught.append(warning)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        raised.start("itself", twice)
        raised.finish()
    assert len(caught) == 1


def test_rlocks_of_another_circle_are_exact_under_any_policy(raised: Raised) -> None:
    threading.deadlock_policy("off")
    first, second = threading.RLock(), threading.RLock()
    ready = stdlib.Barrier(2)
    raised.start("one", take_both, first, second, ready)
    raised.start("two", take_both, second, first, ready)
    assert len(raised.finish()) == 1


def test_a_report_survives_what_cannot_be_shown(raised: Raised) -> None:
    class Odd(threading.RLock):  # type: ignore[misc]
        def __repr__(self) -> str:
            raise ValueError("on purpose")

    first, second = Odd(), Odd()
    ready = stdlib.Barrier(2)
    raised.start("one", take_both, first, second, ready)
    raised.start("two", take_both, second, first, ready)
    (error,) = raised.finish()
    assert "whose repr raises ValueError" in str(error)


def test_a_report_that_fails_leaves_the_suspicion_a_suspicion(
    raised: Raised, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raddle._internal import deadlocks

    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    monkeypatch.setattr(deadlocks, "current_holds", lambda: 1 / 0)
    first, _ = abba_of_locks(raised)
    until(lambda: told and is_asleep_in_both())
    first.release()
    assert raised.finish() == []
    assert told[0].exc_type is ZeroDivisionError
