"""`Condition`."""

from __future__ import annotations

import gc
import os
import re
import signal
import threading as stdlib
import time
import warnings
import weakref
from collections.abc import Callable
from typing import Any, Literal

import pytest

from raddle import TaskTimeout, ThreadPoolExecutor
from raddle._raddle import waits as raddle_waits
from raddle.threading import Condition, DeadlockError, DeadlockWarning, Lock, RLock, RWLock, deadlock_policy
from tests.python.futures.support import LONG, run_program, until, until_asleep
from tests.python.threading.support import Running, handling, signal_in_the_wait


class Foreign:
    """A lock of somebody else's, with nothing but what a lock must have."""

    def __init__(self) -> None:
        self.lock = stdlib.Lock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return self.lock.acquire(blocking, timeout)

    def release(self) -> None:
        self.lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


LOCKS: list[Callable[[], Any]] = [
    lambda: None,
    Lock,
    lambda: Lock(fair=True),
    RLock,
    lambda: RLock(fair=True),
    stdlib.Lock,
    stdlib.RLock,
    Foreign,
    type("Sub", (RLock,), {}),
    lambda: Condition(RLock()),
]


@pytest.fixture(
    params=LOCKS,
    ids=["none", "Lock", "fair", "RLock", "fairR", "stdlib", "stdlibR", "foreign", "subclass", "condition"],
)
def condition(request: pytest.FixtureRequest) -> Condition:
    return Condition(request.param())


def test_one_who_waits_is_notified(condition: Condition) -> None:
    ready: list[int] = []

    def wait() -> bool:
        with condition:
            return condition.wait(LONG) and bool(ready)

    waiting = Running(wait).until_asleep()
    assert len(condition._waiters) == 1
    with condition:
        ready.append(1)
        condition.notify()
    assert waiting.result()
    assert len(condition._waiters) == 0
    assert condition.acquire(False)
    condition.release()


def test_as_many_are_notified_as_are_asked_for_in_their_order(condition: Condition) -> None:
    order: list[int] = []

    def wait(number: int) -> None:
        with condition:
            condition.wait()
            order.append(number)

    waiting = [Running(wait, number).until_asleep() for number in range(5)]
    with condition:
        condition.notify(0)
        condition.notify(-1)
        condition.notify(2)
    for one in waiting[:2]:
        one.result()
    assert sorted(order) == [0, 1]
    with condition:
        condition.notify_all()
    for one in waiting:
        one.result()
    with condition:
        condition.notify()
        condition.notify_all()


def test_a_wait_that_times_out_has_the_lock_again(condition: Condition) -> None:
    with condition:
        start = time.monotonic()
        assert not condition.wait(0.05)
        assert time.monotonic() - start >= 0.05
        assert not condition.wait(0)
        assert not condition.wait(-1)
        assert condition._is_owned()
        assert not Running(condition.acquire, False).result()


def test_who_does_not_hold_the_lock_can_neither_wait_nor_notify(condition: Condition) -> None:
    for call in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(RuntimeError, match="un-acquired lock"):
            call()
    assert not condition._is_owned()


def test_wait_for_looks_again_after_each_notification(condition: Condition) -> None:
    state = 0

    def wait() -> int:
        with condition:
            return condition.wait_for(lambda: state if state > 2 else 0, LONG)

    waiting = Running(wait).until_asleep()
    for _ in range(3):
        with condition:
            state += 1
            condition.notify()
    assert waiting.result() == 3
    with condition:
        assert condition.wait_for(lambda: "", 0.01) == ""
        calls: list[int] = []
        assert condition.wait_for(lambda: calls.append(1), 0) is None
        assert calls == [1, 1]
        with pytest.raises(ZeroDivisionError):
            condition.wait_for(lambda: 1 / 0)
        assert condition._is_owned()


def test_a_wait_gives_up_all_holds_of_a_reentrant_lock() -> None:
    condition = Condition()

    def wait() -> int:
        with condition, condition, condition:
            condition.wait(LONG)
            lock: RLock = condition._lock
            return lock._recursion_count()

    waiting = Running(wait).until_asleep()
    with condition:
        condition.notify()
    assert waiting.result() == 3


def test_its_lock_can_be_looked_at_and_used() -> None:
    lock = Lock()
    condition = Condition(lock)
    assert condition._lock is lock
    assert condition.acquire(blocking=True, timeout=1)
    assert lock.locked()
    assert condition.locked()
    condition.release()
    assert isinstance(Condition()._lock, RLock)
    with pytest.raises(AttributeError):
        Condition(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Condition(lock, 1)  # type: ignore[call-arg]


def test_two_conditions_may_share_a_lock() -> None:
    lock = Lock()
    first, second = Condition(lock), Condition(lock)

    def wait(condition: Condition) -> bool:
        with condition:
            return condition.wait(LONG)

    waiting = [Running(wait, condition).until_asleep() for condition in (first, second)]
    with lock:
        second.notify()
    assert waiting[1].result()
    assert waiting[0].thread.is_alive()
    with first:
        first.notify_all()
    assert waiting[0].result()


def test_its_old_name_warns() -> None:
    condition = Condition()
    with condition, pytest.warns(DeprecationWarning, match=r"notifyAll\(\) is deprecated"):
        condition.notifyAll()


def test_its_repr_tells_of_its_lock_and_who_waits() -> None:
    condition = Condition(Lock())
    assert re.fullmatch(r"<Condition\(<unlocked .*Lock object at 0x\w+>, 0\)>", repr(condition))


def test_a_subclass_may_replace_its_methods_and_arguments() -> None:
    class Counting(Condition):
        def __init__(self, name: str, lock: Lock | None = None) -> None:
            super().__init__(lock)
            self.name, self.waits = name, 0

        def wait(self, timeout: float | None = None) -> bool:
            self.waits += 1
            return super().wait(timeout)

    condition = Counting("mine", Lock())
    with condition:
        assert not condition.wait_for(lambda: False, 0.01)
    assert condition.waits >= 1
    condition.__init__("other")  # type: ignore[misc]
    assert isinstance(condition._lock, RLock)


def test_it_goes_away_with_its_cycle() -> None:
    for make in LOCKS:
        condition: Any = Condition(make())
        condition.me = condition
        reference = weakref.ref(condition)
        del condition
        gc.collect()
        assert reference() is None


def test_a_lock_that_refers_to_its_condition_goes_away_too() -> None:
    class Tied(Foreign):
        condition: Condition

    lock = Tied()
    lock.condition = Condition(lock)
    reference = weakref.ref(lock)
    del lock
    gc.collect()
    assert reference() is None


def test_one_that_is_its_own_lock_goes_away() -> None:
    class Monitor(Condition):
        def __init__(self) -> None:
            self.lock = Lock()
            super().__init__(self)  # type: ignore[arg-type]

        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            return self.lock.acquire(blocking, timeout)

        def release(self) -> None:
            self.lock.release()

        def _is_owned(self) -> bool:
            return self.lock.locked()

        _release_save = release
        _acquire_restore = lambda self, _: self.lock.acquire()  # type: ignore[assignment]  # noqa: E731

    for _ in range(10):
        monitor = Monitor()
        monitor.acquire()
        assert not monitor.wait(0.001)
        monitor.release()
    del monitor
    gc.collect()
    # Not by weak references: the collector clears them before it tries to free what they refer to.
    assert [type(thing) for thing in gc.get_objects()].count(Monitor) == 0


def test_ctrl_c_ends_the_wait_with_the_lock_held(condition: Condition) -> None:
    with condition:
        with signal_in_the_wait(), pytest.raises(KeyboardInterrupt):
            condition.wait()
        assert condition._is_owned()
    assert len(condition._waiters) == 0


@pytest.mark.parametrize("make", [Lock, RLock])
def test_what_interrupts_the_return_of_the_lock_is_raised_by_one_who_holds_it(
    make: Callable[[], Any],
) -> None:
    condition, notified, done = Condition(make()), stdlib.Event(), stdlib.Event()

    def wait() -> bool:
        with condition:
            return condition.wait(LONG)

    def notify() -> None:
        until(lambda: len(condition._waiters) == 2)
        with condition:
            condition.notify()
            notified.set()
            done.wait(LONG)

    def send() -> None:
        assert notified.wait(LONG)
        for number in (signal.SIGINT, signal.SIGUSR1):
            until_asleep(stdlib.main_thread())
            os.kill(os.getpid(), number)
        until_asleep(stdlib.main_thread())
        done.set()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with handling(signal.SIGINT, signal.default_int_handler), handling(signal.SIGUSR1, fail):
        others = [Running(notify), Running(send)]
        with condition:
            waiting = Running(wait)
            with pytest.raises(ZeroDivisionError) as caught:
                condition.wait()
            assert isinstance(caught.value.__context__, KeyboardInterrupt)
            assert condition._is_owned()
    for other in others:
        other.result()
    assert waiting.result(), "the notification of the one who was interrupted went to the next"


@pytest.mark.parametrize("make", [Lock, RLock])
def test_a_signal_at_the_notification_is_raised_by_one_who_holds_the_lock(make: Callable[[], Any]) -> None:
    condition = Condition(make())

    def notify() -> None:
        until(lambda: condition._waiters)
        with condition:
            condition.notify()
            # Handled only after the main thread has begun to take the lock back.
            os.kill(os.getpid(), signal.SIGINT)
            until_asleep(stdlib.main_thread())

    with handling(signal.SIGINT, signal.default_int_handler):
        for _ in range(20):
            notifying = Running(notify)
            with condition:
                with pytest.raises(KeyboardInterrupt):
                    condition.wait()
                assert condition._is_owned()
            notifying.result()


@pytest.mark.parametrize(("make", "chosen"), [(RLock, "warn"), (Lock, "raise"), (Lock, "off")])
def test_a_deadlock_on_the_way_back_is_for_the_others_to_break(
    make: Callable[[], Any], chosen: Literal["warn", "raise", "off"]
) -> None:
    """The lock is held by one who waits for the one who waits for the lock, and can't go on without it."""
    condition, other, outcomes = Condition(make()), make(), []
    gives_up = stdlib.Event()

    def disturb() -> None:
        until(lambda: condition._waiters)
        with condition:
            try:
                with other:
                    outcomes.append("had")
            except DeadlockError:
                outcomes.append("deadlock")
            gives_up.wait(LONG)
            assert condition._is_owned()

    def let_go() -> None:
        """Nobody is told: what anybody may release is released."""
        until(lambda: len(raddle_waits()) == 2)
        until_asleep(stdlib.main_thread())
        other.release()

    before = deadlock_policy(chosen)
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            other.acquire()
            disturbing = Running(disturb)
            if chosen == "off":
                gives_up.set()
                letting_go = Running(let_go)
            else:
                letting_go = Running(lambda: until(lambda: outcomes) or gives_up.set())
            with condition:
                # When it ends, the lock is held by the one who waits for this thread.
                assert not condition.wait(0.2)
                assert condition._is_owned()
            letting_go.result()
            disturbing.result()
    finally:
        deadlock_policy(before)
    if chosen == "off":
        assert (outcomes, seen) == (["had"], [])
        return
    assert outcomes == ["deadlock"]
    (warning,) = seen
    assert warning.category is DeadlockWarning
    assert "goes on waiting" in str(warning.message)


def test_a_forked_child_can_use_it() -> None:
    ended = run_program("""
    import os, threading, warnings
    from raddle.threading import Condition, Lock
    warnings.simplefilter("ignore", DeprecationWarning)

    for lock in (None, Lock()):
        condition = Condition(lock)
        def wait():
            with condition:
                condition.wait()
        threading.Thread(target=wait, daemon=True).start()
        while not condition._waiters:
            pass
        with condition:
            pid = os.fork()
            if pid == 0:
                assert not condition._waiters and not condition.wait(0.01)
                condition._at_fork_reinit()
                def notify():
                    with condition:
                        condition.notify()
                with condition:
                    threading.Thread(target=notify).start()
                    assert condition.wait(60)
                os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)
    """)
    assert (ended.err, ended.out.split()) == ("", ["7", "7"])


@pytest.mark.parametrize("threads", [2, 100])
def test_no_notification_is_lost(threads: int) -> None:
    condition, left, taken = Condition(), threads * 20, 0
    ready = 0

    def take() -> None:
        nonlocal ready, left, taken
        while True:
            with condition:
                while not ready:
                    if not left:
                        return
                    condition.wait()
                ready -= 1
                taken += 1

    takers = [Running(take) for _ in range(threads)]
    for _ in range(threads * 20):
        with condition:
            ready += 1
            left -= 1
            condition.notify()
    with condition:
        condition.notify_all()
    for one in takers:
        one.result()
    assert (ready, taken) == (0, threads * 20)


def test_a_worker_whose_task_runs_out_of_time_has_the_lock_again() -> None:
    condition, outcomes = Condition(), []

    def wait() -> None:
        with condition:
            try:
                condition.wait()
            finally:
                outcomes.append(condition._is_owned())

    with ThreadPoolExecutor(1) as pool:
        future = pool.options(timeout=0.05).submit(wait)
        with pytest.raises(TaskTimeout):
            future.result(LONG)
        until(lambda: outcomes)
        assert pool.submit(condition.acquire, timeout=LONG).result(LONG)
    assert outcomes == [True]


def test_a_program_ends_while_others_wait() -> None:
    ended = run_program("""
    import asyncio, threading
    from raddle.threading import Barrier, Condition, Event, Latch, Lock, RLock, RWLock, Semaphore, deadlock_policy

    deadlock_policy("off")
    lock, reentrant, shared, condition = Lock(), RLock(), RWLock(), Condition()
    lock.acquire()
    reentrant.acquire()
    shared.acquire_write()

    def wait():
        with condition:
            condition.wait()

    async def wait_in_loop():
        async with lock:
            pass

    waits = [
        lock.acquire, reentrant.acquire, shared.acquire_read, shared.acquire_write, wait, Event().wait,
        Semaphore(0).acquire, Latch(1).wait, Barrier(2).wait, lambda: asyncio.run(wait_in_loop()),
    ]
    for function in waits:
        threading.Thread(target=function, daemon=True).start()
    threading.Event().wait(0.2)
    print("end")
    """)
    assert (ended.code, ended.out, ended.err) == (0, "end\n", "")


def test_notify_all_calls_the_notify_of_a_subclass() -> None:
    class Counting(Condition):
        def notify(self, n: int = 1) -> None:
            calls.append(n)
            super().notify(n)

    calls: list[int] = []
    counting = Counting()

    def wait() -> bool:
        with counting:
            return counting.wait(LONG)

    waiting = [Running(wait) for _ in range(3)]
    until(lambda: len(counting._waiters) == 3)
    with counting:
        counting.notify_all()
    assert all(one.result() for one in waiting)
    assert calls == [3]


def test_it_refuses_a_lock_that_is_shared() -> None:
    lock = RWLock()
    with pytest.raises(TypeError, match="readers share theirs"):
        Condition(lock.read())
    with Condition(lock.write()) as held:
        assert held
        assert lock.locked()
    condition = Condition(lock.write())
    with condition:
        assert not condition.wait(0.01)


def test_at_the_interpreters_end_only_waits_without_end_are_refused() -> None:
    ended = run_program("""
        import builtins
        from raddle import threading

        class Last:
            def __init__(self):
                self.event, self.lock, self.condition = threading.Event(), threading.Lock(), threading.Condition()
                self.lock.acquire()

            def __del__(self, print=print, error=RuntimeError):
                print(self.event.wait(0.05), self.lock.acquire(timeout=0.05))
                with self.condition:
                    print(self.condition.wait(0.05))
                for wait in (self.event.wait, self.lock.acquire):
                    try:
                        wait()
                    except error as refused:
                        print(refused)

        builtins.last = Last()
    """)
    refused = "cannot wait at interpreter finalization, when no other thread runs"
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == ["False False", "False", refused, refused]
