"""Locks, semaphores, events, conditions and barriers, between processes that were started in each way."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from raddle import multiprocessing as mp

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(params=METHODS)
def started(request: pytest.FixtureRequest) -> Any:
    return mp.get_context(request.param)


@pytest.fixture
def forked() -> Any:
    return mp.get_context("fork")


def run(context: Any, target: Callable[..., object], *args: object) -> None:
    process = context.Process(target=target, args=args)
    process.start()
    process.join()
    assert process.exitcode == 0


def exercise(things: list[Any], locks: list[Any], done: Any) -> None:
    lock, rlock, semaphore, bounded, event, condition, barrier, value = things
    with lock:
        assert not lock.acquire(False)
    with rlock, rlock:
        pass
    assert semaphore.acquire()
    assert not semaphore.acquire(False)
    with pytest.raises(ValueError, match="too many"):
        bounded.release()
    event.set()
    with condition:
        value.value += 1
        condition.notify_all()
    barrier.wait()
    assert len(locks) == 200
    assert all(other.acquire() for other in locks)
    done.set()


def test_all_of_them_work_between_processes(started: Any) -> None:
    lock, rlock, semaphore = started.Lock(), started.RLock(), started.Semaphore(1)
    event, condition, barrier = started.Event(), started.Condition(), started.Barrier(2)
    value = started.Value("i", 0)
    things = [lock, rlock, semaphore, started.BoundedSemaphore(1), event, condition, barrier, value]
    many, done = [started.Lock() for _ in range(200)], started.Event()
    process = started.Process(target=exercise, args=(things, many, done))
    process.start()
    assert event.wait(30)
    with condition:
        assert condition.wait_for(lambda: value.value == 1, 30)
    barrier.wait(30)
    process.join()
    assert process.exitcode == 0
    assert done.is_set()
    assert lock.acquire(False)
    assert rlock.acquire(False)
    assert semaphore.get_value() == 0
    assert not any(other.acquire(False) for other in many)


@pytest.mark.parametrize("name", ["Lock", "RLock", "Semaphore", "Event", "Condition", "Queue", "SimpleQueue"])
def test_they_are_passed_to_new_processes_only(name: str) -> None:
    with pytest.raises(RuntimeError, match="should only be shared between processes"):
        pickle.dumps(getattr(mp, name)())


def test_many_take_few_descriptors() -> None:
    before = len(os.listdir("/proc/self/fd"))
    things = [mp.Lock() for _ in range(1000)] + [mp.Semaphore() for _ in range(1000)]
    assert len(os.listdir("/proc/self/fd")) - before <= 4
    del things
    assert len(os.listdir("/proc/self/fd")) - before <= 1


def take_and_die(lock: Any, ready: Any) -> None:
    lock.acquire()
    ready.set()
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_a_waiter_is_told_that_the_holder_died(started: Any, name: str) -> None:
    lock, ready = getattr(started, name)(), started.Event()
    process = started.Process(target=take_and_die, args=(lock, ready))
    process.start()
    ready.wait()
    with pytest.raises(mp.OwnerDied, match="release") as caught:
        lock.acquire()  # also while it is a zombie
    assert caught.value.pid == process.pid
    process.join()
    assert not lock.acquire(False)
    assert not lock.acquire(timeout=0.01)
    with pytest.raises(mp.OwnerDied), lock:
        pass
    lock.release()
    assert lock.acquire(False)
    assert pickle.loads(pickle.dumps(caught.value)).pid == process.pid


def hold(lock: Any, ready: Any, go: Any) -> None:
    with lock:
        ready.set()
        go.wait()


def test_a_holder_that_lives_is_waited_for(forked: Any) -> None:
    lock, ready, go = forked.Lock(), forked.Event(), forked.Event()
    process = forked.Process(target=hold, args=(lock, ready, go))
    process.start()
    ready.wait()
    assert repr(lock) == "<Lock(owner=SomeOtherProcess)>"
    timer = threading.Timer(0.3, go.set)
    timer.start()
    assert lock.acquire()
    process.join()
    timer.join()


def test_a_forked_child_does_not_have_its_parents_lock(forked: Any) -> None:
    def try_it(rlock: Any, lock: Any) -> None:
        assert not rlock.acquire(False)
        assert not rlock._is_mine()
        with pytest.raises(AssertionError):
            rlock.release()
        lock.release()

    lock, rlock = forked.Lock(), forked.RLock()
    with rlock:
        lock.acquire()
        run(forked, try_it, rlock, lock)
        assert lock.acquire(False)  # a plain lock anybody may release


def test_reprs_tell_who_has_it() -> None:
    lock, rlock = mp.Lock(), mp.RLock()
    assert repr(lock) == "<Lock(owner=None)>"
    assert repr(rlock) == "<RLock(None, 0)>"
    with lock, rlock, rlock:
        assert repr(lock) == "<Lock(owner=MainProcess)>"
        assert repr(rlock) == "<RLock(MainProcess, 2)>"
        seen: list[str] = []
        thread = threading.Thread(target=lambda: seen.extend([repr(lock), repr(rlock)]))
        thread.start()
        thread.join()
        assert seen == ["<Lock(owner=SomeOtherThread)>", "<RLock(SomeOtherThread, nonzero)>"]


def test_ctrl_c_ends_a_wait() -> None:
    waits = [
        mp.Event().wait,
        mp.Semaphore(0).acquire,
        mp.Queue().get,
        _held(mp.Lock()),
    ]
    for wait in waits:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            wait()
        assert time.monotonic() - began < 10
        timer.join()


def _held(lock: Any) -> Callable[[], object]:
    lock.acquire()
    return lambda: lock.acquire()


def wait_and_die(condition: Any, ready: Any) -> None:
    with condition:
        ready.set()
        condition.wait()


def test_a_notification_passes_over_waiters_that_were_killed(forked: Any) -> None:
    condition, ready = forked.Condition(), forked.Event()
    process = forked.Process(target=wait_and_die, args=(condition, ready))
    process.start()
    ready.wait()
    with condition:
        pass
    process.kill()
    process.join()
    woken: list[bool] = []

    def wait() -> None:
        with condition:
            ready.clear()
            woken.append(condition.wait(30))

    thread = threading.Thread(target=wait)
    thread.start()
    while ready.is_set():
        time.sleep(0.001)
    with condition:
        condition.notify()
    thread.join()
    assert woken == [True]


def test_subclasses_may_take_other_arguments() -> None:
    class Named(mp.synchronize.Semaphore):
        def __init__(self, name: str) -> None:
            super().__init__(2, ctx=mp.get_context())
            self.name = name

    semaphore = Named("two")
    assert semaphore.get_value() == 2
    assert semaphore.name == "two"
