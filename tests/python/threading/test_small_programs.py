"""Small programs of a few threads, run on Raddle's primitives and on the stdlib's: both end, and in the same state.

Every step of a program leaves what it takes, so whatever the order of the threads, the end is known. The programs run
with a short switch interval: threads meet inside the steps.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from raddle import threading as ours
from tests.python.threading.oracle import LONG

STEPS = ("lock", "rlock", "semaphore", "bounded", "try", "give", "take", "event")
#: A program: the steps of each thread, which are done several times over.
PROGRAMS = st.lists(st.lists(st.sampled_from(STEPS), max_size=6), min_size=2, max_size=4)
ROUNDS = 5


class Run:
    """One run of a program on the primitives of a module."""

    def __init__(self, module: ModuleType, program: list[list[str]]) -> None:
        self.module, self.program = module, program
        self.lock, self.rlock = module.Lock(), module.RLock()
        self.semaphore, self.bounded = module.Semaphore(2), module.BoundedSemaphore(1)
        self.store, self.stored = module.Condition(), 0
        self.barrier = module.Barrier(len(program))
        self.count = dict.fromkeys(STEPS, 0)
        self.inside = dict.fromkeys(STEPS, 0)
        self.errors: list[BaseException] = []

    @contextmanager
    def alone(self, step: str, most: int = 1) -> Iterator[None]:
        self.inside[step] += 1
        assert self.inside[step] <= most, f"{self.inside[step]} threads at once in {step}"
        before = self.count[step]
        yield
        self.count[step] = before + 1
        self.inside[step] -= 1

    def do(self, step: str) -> None:
        if step in ("lock", "bounded"):
            with getattr(self, step), self.alone(step):
                pass
        elif step == "rlock":
            with self.rlock, self.rlock, self.alone(step):
                pass
        elif step == "semaphore":
            with self.semaphore:
                assert self.semaphore._value in (0, 1)
        elif step == "try":
            if self.lock.acquire(timeout=0.0001):
                with self.alone("lock"):
                    pass
                self.count["lock"] -= 1
                self.lock.release()
        elif step == "give":
            with self.store:
                self.stored += 1
                self.store.notify()
        elif step == "take":
            with self.store:
                self.store.wait_for(lambda: self.stored, 0.0001)
                self.stored -= bool(self.stored)
        elif step == "event":
            event = self.module.Event()
            setter = self.module.Thread(target=event.set)
            setter.start()
            assert event.wait(LONG)
            setter.join()

    def work(self, steps: list[str]) -> None:
        try:
            for _ in range(ROUNDS):
                for step in steps:
                    self.do(step)
                self.barrier.wait(LONG)
        except BaseException as error:
            self.errors.append(error)
            self.barrier.abort()

    def end(self) -> dict[str, Any]:
        threads = [self.module.Thread(target=self.work, args=(steps,), daemon=True) for steps in self.program]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        assert not any(thread.is_alive() for thread in threads), "a thread hangs"
        assert self.errors == []
        return {
            "counts": self.count,
            "lock": self.lock.locked(),
            "rlock": self.rlock.acquire(False),
            "permits": (self.semaphore._value, self.bounded._value),
            "barrier": (self.barrier.n_waiting, self.barrier.broken),
            "waiters": len(self.store._waiters),
        }


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(PROGRAMS)
def test_a_program_ends_as_it_does_on_the_stdlib(program: list[list[str]]) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        assert Run(ours, program).end() == Run(threading, program).end()
    finally:
        sys.setswitchinterval(interval)
