"""Locks, semaphores and events against the stdlib's: whatever is done to both, by whichever thread, both say the same.

The oracle is the class of the interpreter that runs the test. No step waits for more than a moment; what waits for
others is in `test_meeting_machines.py`.
"""

from __future__ import annotations

import threading
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from raddle import threading as ours
from tests.python.threading.oracle import SETTINGS, Machine

THREADS = st.sampled_from(range(3))
#: Arguments of `acquire` that never wait for long, wrong ones among them.
ATTEMPTS = st.sampled_from(
    [
        ((False,), {}),
        ((), {"blocking": False}),
        ((0,), {}),
        ((True, 0), {}),
        ((), {"timeout": 0}),
        ((), {"timeout": 0.0001}),
        ((False, 1), {}),
        ((True, -2), {}),
        ((), {"timeout": 1e30}),
        ((), {"timeout": "soon"}),
        ((), {"patience": 3}),
    ]
)


class LockMachine(Machine):
    @initialize(fair=st.booleans())
    def make(self, fair: bool) -> None:
        self.pair = (ours.Lock(fair=fair), threading.Lock())

    @rule(thread=THREADS, how=ATTEMPTS)
    def acquire(self, thread: int, how: Any) -> None:
        self.both(lambda lock: lock.acquire(*how[0], **how[1]), thread)

    @rule(thread=THREADS)
    def release(self, thread: int) -> None:
        self.both(lambda lock: lock.release(), thread)

    @rule(thread=THREADS)
    def enter_or_leave(self, thread: int) -> None:
        self.both(lambda lock: lock.__exit__(None, None, None) if lock.locked() else lock.__enter__(), thread)

    @invariant()
    def they_agree(self) -> None:
        self.both(lambda lock: lock.locked())
        self.same_repr()


class RLockMachine(Machine):
    """Also as the lock of a condition, which shows its methods."""

    @initialize(fair=st.booleans(), condition=st.booleans())
    def make(self, fair: bool, condition: bool) -> None:
        self.pair = (ours.RLock(fair=fair), threading.RLock())
        if condition:
            self.pair = (ours.Condition(self.pair[0]), threading.Condition(self.pair[1]))
        self.saved: dict[int, Any] = {}

    @rule(thread=THREADS, how=ATTEMPTS)
    def acquire(self, thread: int, how: Any) -> None:
        self.both(lambda lock: lock.acquire(*how[0], **how[1]), thread)

    @rule(thread=THREADS)
    def release(self, thread: int) -> None:
        self.both(lambda lock: lock.release(), thread)

    @rule(thread=THREADS)
    def ask_whose_it_is(self, thread: int) -> None:
        self.both(lambda lock: lock._is_owned(), thread)
        if hasattr(self.pair[1], "_recursion_count"):
            self.both(lambda lock: lock._recursion_count(), thread)

    @rule(thread=THREADS)
    def save_or_restore(self, thread: int) -> None:
        """As a condition does before and after a wait."""

        def save(lock: Any) -> None:
            if lock._is_owned():  # up to CPython 3.13, the stdlib's takes it away from others
                self.saved[id(lock)] = lock._release_save()

        def restore(lock: Any) -> bool:
            if lock._is_owned() or not lock.acquire(False):
                return False
            lock.release()
            lock._acquire_restore(self.saved.pop(id(lock)))
            return True

        self.both(restore if self.saved else save, thread)

    @invariant()
    def they_agree(self) -> None:
        if hasattr(self.pair[1], "locked"):
            self.both(lambda lock: lock.locked())
        self.same_repr()


class SemaphoreMachine(Machine):
    @initialize(
        name=st.sampled_from(["Semaphore", "BoundedSemaphore"]), value=st.integers(-1, 3), fair=st.booleans()
    )
    def make(self, name: str, value: int, fair: bool) -> None:
        mine, theirs = getattr(ours, name), getattr(threading, name)
        self.pair = (lambda: mine(value, fair=fair), lambda: theirs(value))
        kind, _ = self.both(lambda make: make() and None)
        good = value if kind == "returned" else 1
        self.pair = (mine(good, fair=fair), theirs(good))

    @rule(
        thread=THREADS,
        how=st.sampled_from(
            [
                ((False,), {}),
                ((), {"blocking": False}),
                ((True, 0), {}),
                ((), {"timeout": 0}),
                ((), {"timeout": 0.0001}),
                ((), {"timeout": -1}),
                ((False, 1), {}),
                ((), {"patience": 3}),
            ]
        ),
    )
    def acquire(self, thread: int, how: Any) -> None:
        self.both(lambda semaphore: semaphore.acquire(*how[0], **how[1]), thread)

    @rule(thread=THREADS, n=st.sampled_from([(), (1,), (2,), (3,), (0,), (-1,)]))
    def release(self, thread: int, n: Any) -> None:
        self.both(lambda semaphore: semaphore.release(*n), thread)

    @rule(thread=THREADS)
    def use(self, thread: int) -> None:
        def enter(semaphore: Any) -> Any:
            if semaphore._value:
                with semaphore as entered:
                    return entered, semaphore._value
            return None

        self.both(enter, thread)

    @invariant()
    def they_agree(self) -> None:
        self.both(lambda semaphore: semaphore._value)
        self.same_repr()


class EventMachine(Machine):
    @initialize()
    def make(self) -> None:
        self.pair = (ours.Event(), threading.Event())

    @rule(thread=THREADS, method=st.sampled_from(["set", "clear", "is_set"]))
    def call(self, thread: int, method: str) -> None:
        self.both(lambda event: getattr(event, method)(), thread)

    @rule(thread=THREADS, timeout=st.sampled_from([(0,), (0.0001,), (-1,)]))
    def wait(self, thread: int, timeout: Any) -> None:
        self.both(lambda event: event.wait(*timeout), thread)

    @rule(thread=THREADS)
    def wait_without_a_timeout(self, thread: int) -> None:
        self.both(lambda event: event.wait() if event.is_set() else None, thread)

    @invariant()
    def they_agree(self) -> None:
        self.same_repr()


for _machine in (LockMachine, RLockMachine, SemaphoreMachine, EventMachine):
    _machine.TestCase.settings = SETTINGS
TestLock = LockMachine.TestCase
TestRLock = RLockMachine.TestCase
TestSemaphore = SemaphoreMachine.TestCase
TestEvent = EventMachine.TestCase
