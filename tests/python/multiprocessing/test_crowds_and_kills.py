"""Primitives that thousands wait for, and whose users are killed at any instant."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from raddle import multiprocessing as mp

PROCESSES, THREADS = 4, 300
CROWD = PROCESSES * THREADS
LONG = 60.0


@pytest.fixture
def forked() -> Any:
    return mp.get_context("fork")


def crowd(wait: Callable[[], object], arrived: Any, passed: Any) -> None:
    def one() -> None:
        arrived.release()
        wait()
        passed.release()

    threads = [threading.Thread(target=one) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Crowd:
    """Threads of several processes that each call `wait` once, and how many of them are through."""

    def __init__(self, context: Any, wait: Callable[[], object]) -> None:
        self.arrived, self.passed = context.Semaphore(0), context.Semaphore(0)
        self._processes = [
            context.Process(target=crowd, args=(wait, self.arrived, self.passed), daemon=True)
            for _ in range(PROCESSES)
        ]
        for process in self._processes:
            process.start()
        for _ in range(CROWD):
            assert self.arrived.acquire(timeout=LONG)

    def all_pass(self) -> bool:
        """Tell whether all get through in time."""
        passed = all(self.passed.acquire(timeout=LONG) for _ in range(CROWD))
        for process in self._processes:
            if not passed:
                process.kill()
            process.join()
        return passed


def test_an_event_wakes_thousands(forked: Any) -> None:
    event = forked.Event()
    waiting = Crowd(forked, event.wait)
    event.set()
    assert waiting.all_pass()


def test_each_permit_lets_one_of_thousands_pass(forked: Any) -> None:
    semaphore = forked.Semaphore(0)
    waiting = Crowd(forked, semaphore.acquire)
    for _ in range(CROWD // 2):
        semaphore.release()
    for _ in range(CROWD // 2):
        assert waiting.passed.acquire(timeout=LONG)
    assert not waiting.passed.acquire(timeout=0.05)
    for _ in range(CROWD):
        semaphore.release()
    for _ in range(CROWD // 2):
        waiting.passed.release()  # which `all_pass` counts once more
    assert waiting.all_pass()
    assert semaphore.get_value() == CROWD // 2


def test_a_lock_goes_through_thousands_of_hands(forked: Any) -> None:
    lock = forked.Lock()

    def use() -> None:
        with lock:
            pass

    with lock:
        waiting = Crowd(forked, use)
    assert waiting.all_pass()


def test_a_condition_wakes_thousands(forked: Any) -> None:
    condition, value = forked.Condition(), forked.RawValue("i", 0)

    def wait() -> None:
        with condition:
            condition.wait_for(lambda: value.value)

    waiting = Crowd(forked, wait)
    with condition:
        value.value = 1
        condition.notify_all()
    assert waiting.all_pass()


def work_under(lock: Any, inside: Any, turns: Any, stop: Any) -> None:
    me = os.getpid()
    while not stop.is_set():
        try:
            with lock:
                inside.value = me
                turns.value += 1
                if inside.value != me:
                    os._exit(3)
        except mp.OwnerDied:
            time.sleep(0.001)  # the parent frees it


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_whoever_is_killed_while_he_uses_a_lock_the_others_go_on(forked: Any, name: str) -> None:
    lock, stop = getattr(forked, name)(), forked.Event()
    inside, turns = forked.RawValue("i", 0), [forked.RawValue("q", 0) for _ in range(3)]

    def start(count: Any) -> Any:
        process = forked.Process(target=work_under, args=(lock, inside, count, stop), daemon=True)
        process.start()
        return process

    survivors = [start(count) for count in turns[:2]]
    chance = random.Random(7)
    for _ in range(25):
        victim = start(turns[2])
        time.sleep(chance.random() * 0.01)
        victim.kill()
        victim.join()
        try:
            lock.acquire()  # without a limit: only who would wait for ever is told
        except mp.OwnerDied:
            pass
        lock.release()
    before = [count.value for count in turns[:2]]
    end = time.monotonic() + LONG
    while time.monotonic() < end and any(
        count.value == was for count, was in zip(turns, before, strict=False)
    ):
        time.sleep(0.01)
    stop.set()
    for process in survivors:
        process.join(LONG)
        assert process.exitcode == 0
    assert all(count.value > was for count, was in zip(turns, before, strict=False))


def wait_for_it(event: Any, arrived: Any) -> None:
    arrived.release()
    event.wait()


def test_waiters_that_are_killed_as_they_are_woken_take_nobody_along(forked: Any) -> None:
    for _ in range(20):
        event, arrived = forked.Event(), forked.Semaphore(0)
        processes = [forked.Process(target=wait_for_it, args=(event, arrived), daemon=True) for _ in range(4)]
        for process in processes:
            process.start()
        for _ in processes:
            assert arrived.acquire(timeout=LONG)
        event.set()
        processes[0].kill()
        for process in processes:
            process.join(LONG)
        assert [process.exitcode for process in processes[1:]] == [0, 0, 0]
