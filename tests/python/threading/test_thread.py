"""`Thread` and `Timer`."""

from __future__ import annotations

import _thread
import sys
import threading as stdlib
from collections.abc import Callable
from typing import Any

import pytest

from raddle import threading
from tests.python.futures.support import LONG, Gate, run_program, until, until_asleep


def test_it_is_a_thread_of_the_stdlib() -> None:
    gate = Gate()
    thread = threading.Thread(target=gate, name="worker", daemon=True)
    assert isinstance(thread, stdlib.Thread)
    assert repr(thread) == "<Thread(worker, initial daemon)>"
    thread.start()
    gate.await_entry()
    assert thread in stdlib.enumerate()
    assert thread.native_id is not None
    assert thread.is_alive()
    gate.open()
    thread.join()
    assert not thread.is_alive()
    assert "stopped" in repr(thread)


def test_run_may_be_overridden() -> None:
    class Squares(threading.Thread):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def run(self) -> None:
            self.result = self.number**2
            assert threading.current_thread() is self

    threads = [Squares(number) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [thread.result for thread in threads] == [0, 1, 4, 9, 16]


def test_join_of_the_current_or_of_an_unstarted_thread_is_an_error() -> None:
    thread = threading.Thread(target=int)
    with pytest.raises(RuntimeError, match="cannot join thread before it is started"):
        thread.join()
    errors: list[BaseException] = []

    def join_myself() -> None:
        try:
            threading.current_thread().join()
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=join_myself)
    thread.start()
    thread.join()
    assert [str(error) for error in errors] == ["cannot join current thread"]

    class Uninitialised(threading.Thread):
        def __init__(self) -> None:
            pass

    with pytest.raises(RuntimeError, match="__init__"):
        Uninitialised().join()


def test_join_with_a_timeout() -> None:
    gate = Gate()
    thread = threading.Thread(target=gate)
    thread.start()
    for timeout in (0.01, 0, -1):
        thread.join(timeout)
        assert thread.is_alive()
    with pytest.raises(OverflowError):
        thread.join(threading.TIMEOUT_MAX * 2)
    with pytest.raises(TypeError):
        thread.join("soon")  # type: ignore[arg-type]
    gate.open()
    thread.join(LONG)
    assert not thread.is_alive()
    thread.join()


def exit_at_once() -> None:
    _thread.exit()


def leave() -> None:
    sys.exit(3)


def fail() -> None:
    raise ValueError("on purpose")


def fail_in_profile() -> None:
    def profile(frame: Any, event: str, arg: Any) -> None:
        if event == "c_call" and arg.__name__ == "open":
            raise ValueError("on purpose")

    sys.setprofile(profile)


@pytest.mark.parametrize("target", [exit_at_once, leave, fail, fail_in_profile])
@pytest.mark.parametrize("hook_fails", [False, True])
def test_a_thread_that_ends_badly_can_be_joined(
    target: Callable[[], None], hook_fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hook(args: Any) -> None:
        if hook_fails:
            raise KeyError("on purpose")

    monkeypatch.setattr(stdlib, "excepthook", hook)
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    # What is raised after the end of `run` goes to sys.unraisablehook, on purpose too.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    assert not thread.is_alive()


def test_a_thread_that_could_not_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("can't start new thread")

    name = "_start_joinable_thread" if sys.version_info >= (3, 13) else "_start_new_thread"
    thread = threading.Thread(target=int)
    with monkeypatch.context() as patched:
        patched.setattr(stdlib, name, refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            thread.start()
    with pytest.raises(RuntimeError, match="before it is started"):
        thread.join()
    assert thread not in stdlib.enumerate()
    thread.start()
    thread.join()


def test_any_number_may_join() -> None:
    gate = Gate()
    thread = threading.Thread(target=gate)
    thread.start()
    joiners = [threading.Thread(target=thread.join) for _ in range(10)]
    for joiner in joiners:
        joiner.start()
    until_asleep(joiners[-1])
    gate.open()
    for joiner in joiners:
        joiner.join()


@pytest.mark.parametrize("times", range(20))
def test_trace_and_profile_hooks_are_called(times: int) -> None:
    traced: set[str] = set()
    profiled: set[str] = set()

    def trace(frame: Any, event: str, _arg: object) -> Any:
        traced.add(frame.f_code.co_name)
        return trace

    def profile(frame: Any, event: str, _arg: object) -> None:
        profiled.add(frame.f_code.co_name)

    def work() -> None:
        for number in range(50):
            int(number)

    threading.settrace(trace)
    threading.setprofile(profile)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
        threading.setprofile(None)
    assert "work" in traced & profiled


def test_a_timer_calls_unless_it_is_cancelled() -> None:
    called: list[tuple[object, ...]] = []

    def call(*args: object, **kwargs: object) -> None:
        called.append((args, kwargs, threading.current_thread()))

    timer = threading.Timer(0.01, call, [1], {"two": 2})
    assert isinstance(timer, (threading.Thread, stdlib.Timer))
    timer.start()
    timer.join()
    assert called == [((1,), {"two": 2}, timer)]
    assert timer.finished.is_set()

    cancelled = threading.Timer(3600, call)
    cancelled.start()
    cancelled.cancel()
    cancelled.join()
    assert len(called) == 1


def test_a_timers_arguments_are_its_own() -> None:
    first, second = threading.Timer(1, int), threading.Timer(1, int)
    assert (first.args, first.kwargs) == ([], {})
    assert first.args is not second.args
    assert first.kwargs is not second.kwargs


def test_many_threads_leave_nothing_behind() -> None:
    before = len(stdlib.enumerate())
    for _ in range(200):
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
    until(lambda: len(stdlib.enumerate()) == before)


def test_daemon_threads_in_waits_do_not_hold_up_the_end() -> None:
    ended = run_program("""
        from raddle import threading
        locks = [threading.Lock(), threading.RLock()]
        waiting = []

        def wait(lock):
            waiting.append(lock)
            lock.acquire()

        for lock in locks:
            lock.acquire()
        threads = [threading.Thread(target=wait, args=[lock], daemon=True) for lock in locks for _ in range(4)]
        for thread in threads:
            thread.start()
        joiner = threading.Thread(target=threads[0].join, daemon=True)
        joiner.start()
        while len(waiting) < len(threads):
            pass
    """)
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_a_thread_that_is_no_daemon_holds_up_the_end() -> None:
    ended = run_program("""
        import time
        from raddle import threading
        lock = threading.Lock()
        lock.acquire()
        def wait():
            with lock:
                print("had it")
        threading.Thread(target=wait).start()
        threading.Timer(0.05, lock.release).start()
    """)
    assert (ended.code, ended.out, ended.err) == (0, "had it\n", "")


@pytest.mark.parametrize("wait", ["lock.acquire()", "rlock.acquire()", "thread.join()", "thread.join(3600)"])
def test_ctrl_c_reaches_a_wait(wait: str) -> None:
    ended = run_program(
        f"""
        from raddle import threading
        lock, rlock = threading.Lock(), threading.RLock()
        held = threading.Lock()

        def hold():
            rlock.acquire()
            held.release()
            lock.acquire()

        lock.acquire()
        held.acquire()
        thread = threading.Thread(target=hold, daemon=True)
        thread.start()
        held.acquire()
        threading.deadlock_policy("off")
        try:
            print("ready")
            {wait}
        except KeyboardInterrupt:
            print("interrupted")
        except threading.DeadlockError:
            # Its own lock is what the thread waits for.
            print("told")
        """,
        interrupts=1,
    )
    assert ended.code == 0, ended.err
    assert ended.out == "ready\ninterrupted\n"


FORKING = """
    import os, sys, warnings
    from raddle import threading
    warnings.simplefilter("ignore", DeprecationWarning)

    def in_child(check):
        child = os.fork()
        if child == 0:
            try:
                check()
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_child_can_join_the_threads_that_stayed_behind() -> None:
    ended = run_program(
        FORKING
        + """
    gate = threading.Lock()
    gate.acquire()
    thread = threading.Thread(target=gate.acquire)
    thread.start()
    waiting = threading.Thread(target=thread.join)
    waiting.start()

    def check():
        for left_behind in (thread, waiting):
            left_behind.join()
            assert not left_behind.is_alive()
        fresh = threading.Thread(target=print, args=["fresh"])
        fresh.start()
        fresh.join()
        sys.stdout.flush()

    in_child(check)
    gate.release()
    thread.join()
    waiting.join()
    """
    )
    assert (ended.code, ended.out, ended.err) == (0, "fresh\n", "")


def test_the_thread_that_forked_can_be_joined_in_the_child() -> None:
    ended = run_program(
        FORKING
        + """
    def check():
        me = threading.current_thread()
        assert me is threading.main_thread()
        try:
            me.join()
        except RuntimeError:
            pass
        joiner = threading.Thread(target=me.join, args=[0.01])
        joiner.start()
        joiner.join()
        assert me.is_alive()

    thread = threading.Thread(target=in_child, args=[check])
    thread.start()
    thread.join()
    """
    )
    assert (ended.code, ended.out, ended.err) == (0, "", "")
