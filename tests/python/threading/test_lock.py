"""`Lock`."""

from __future__ import annotations

import gc
import signal
import threading as stdlib
import time
import weakref
from typing import Any

import pytest

from raddle.threading import TIMEOUT_MAX, Lock
from tests.python.futures.support import LONG, run_program
from tests.python.threading.support import Running, handling, signal_in_the_wait


@pytest.fixture(params=[False, True], ids=["unfair", "fair"])
def lock(request: pytest.FixtureRequest) -> Lock:
    return Lock(fair=request.param)


def test_one_at_a_time_holds_it(lock: Lock) -> None:
    assert lock.acquire() is True
    assert lock.locked()
    assert not lock.acquire(blocking=False)
    assert not lock.acquire(timeout=0.01)
    lock.release()
    assert not lock.locked()
    with lock as entered:
        assert entered is True
        assert lock.locked()
    assert not lock.locked()


def test_it_has_its_old_names_too(lock: Lock) -> None:
    assert lock.acquire_lock()
    assert lock.locked_lock()
    assert not lock.acquire_lock(False)
    lock.release_lock()


def test_anybody_may_release_it(lock: Lock) -> None:
    lock.acquire()
    Running(lock.release).result()
    assert not lock.locked()


def test_one_that_nobody_holds_can_not_be_released(lock: Lock) -> None:
    with pytest.raises(RuntimeError, match="release unlocked lock"):
        lock.release()


@pytest.mark.parametrize("flag", [0, "", [], None])
def test_whatever_is_false_does_not_block(lock: Lock, flag: Any) -> None:
    assert lock.acquire(1)  # type: ignore[arg-type]
    assert not lock.acquire(flag)


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((False, 1), ValueError),
        ((False, 0), ValueError),
        ((True, -2), ValueError),
        ((True, float("nan")), ValueError),
        ((True, TIMEOUT_MAX * 2), OverflowError),
        ((True, "1"), TypeError),
        ((True, None), TypeError),
    ],
)
def test_it_refuses_what_the_stdlibs_refuses(lock: Lock, args: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        lock.acquire(*args)
    with pytest.raises(error):
        stdlib.Lock().acquire(*args)
    assert not lock.locked()


def test_it_takes_no_other_arguments() -> None:
    with pytest.raises(TypeError):
        Lock(True)  # type: ignore[misc]
    with pytest.raises(TypeError):
        type("Sub", (Lock,), {})


def test_a_timeout_is_waited_out(lock: Lock) -> None:
    lock.acquire()
    start = time.monotonic()
    assert not lock.acquire(timeout=0.05)
    assert time.monotonic() - start >= 0.05


def test_its_repr_tells_whether_it_is_locked(lock: Lock) -> None:
    assert repr(lock).startswith("<unlocked ")
    with lock:
        assert repr(lock).startswith("<locked ")
    assert f"at {id(lock):#x}>" in repr(lock)


def test_it_can_be_weakly_referenced_and_found_by_the_collector(lock: Lock) -> None:
    reference = weakref.ref(lock)
    assert reference() is lock
    assert any(found is lock for found in gc.get_objects())
    other = weakref.ref(Lock())
    gc.collect()
    assert other() is None


def test_it_tells_who_holds_it(lock: Lock) -> None:
    assert lock._holder() == []
    with lock:
        assert lock._holder() == [(stdlib.get_ident(), None)]


@pytest.mark.parametrize("threads", [1, 8, 200])
def test_what_it_protects_stays_whole(lock: Lock, threads: int) -> None:
    count = 0

    def add() -> None:
        nonlocal count
        for _ in range(2000 // threads):
            with lock:
                before = count
                count = before + 1

    adding = [Running(add) for _ in range(threads)]
    for one in adding:
        one.result()
    assert count == 2000 // threads * threads


def test_a_fair_one_is_had_in_the_order_of_arrival() -> None:
    lock, order = Lock(fair=True), []

    def take(number: int) -> None:
        with lock:
            order.append(number)

    with lock:
        waiting = [Running(take, number).until_asleep() for number in range(5)]
    for one in waiting:
        one.result()
    assert order == [0, 1, 2, 3, 4]


def test_a_signal_handler_runs_in_the_wait_and_the_wait_goes_on(lock: Lock) -> None:
    lock.acquire()
    handled: list[int] = []
    with (
        handling(signal.SIGUSR1, lambda number, _: handled.append(number)),
        signal_in_the_wait(signal.SIGUSR1, then=lock.release),
    ):
        assert lock.acquire(timeout=LONG)
    assert handled == [signal.SIGUSR1]


def test_ctrl_c_ends_the_wait_and_leaves_nothing_behind(lock: Lock) -> None:
    holder, done = stdlib.Event(), stdlib.Event()

    def hold() -> None:
        with lock:
            holder.set()
            done.wait(LONG)

    holding = Running(hold)
    assert holder.wait(LONG)
    with signal_in_the_wait(), pytest.raises(KeyboardInterrupt):
        lock.acquire()
    done.set()
    holding.result()
    assert lock.acquire(timeout=LONG)


def test_a_forked_child_has_it_as_the_parent_had_it() -> None:
    ended = run_program("""
    import os, threading, warnings
    from raddle.threading import Lock
    warnings.simplefilter("ignore", DeprecationWarning)

    for fair in (False, True):
        free, held, mine = (Lock(fair=fair) for _ in range(3))
        mine.acquire()
        threading.Thread(target=held.acquire, daemon=True).start()
        threading.Thread(target=mine.acquire, daemon=True).start()
        while not held.locked():
            pass
        pid = os.fork()
        if pid == 0:
            assert free.acquire(timeout=60) and held.locked() and not held.acquire(timeout=0.01)
            mine.release()
            assert mine.acquire(False)
            held._at_fork_reinit()
            assert held.acquire(False)
            held.release()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)
    """)
    assert (ended.err, ended.out.split()) == ("", ["7", "7"])
