"""`RLock`."""

from __future__ import annotations

import gc
import re
import signal
import threading as stdlib
import weakref

import pytest

from raddle.threading import Condition, DeadlockError, RLock
from tests.python.futures.support import LONG, run_program
from tests.python.threading.support import Running, signal_in_the_wait


@pytest.fixture(params=[False, True], ids=["unfair", "fair"])
def lock(request: pytest.FixtureRequest) -> RLock:
    return RLock(fair=request.param)


def test_its_holder_may_take_it_again(lock: RLock) -> None:
    with lock:
        assert lock.acquire(False)
        assert lock._recursion_count() == 2
        assert not Running(lock.acquire, False).result()
        lock.release()
        assert lock._is_owned()
        assert not Running(lock._is_owned).result()
    assert not lock._is_owned()
    assert Running(lock.acquire, False).result()


def test_nobody_else_can_release_it(lock: RLock) -> None:
    with pytest.raises(RuntimeError, match="un-acquired"):
        lock.release()
    with lock, pytest.raises(RuntimeError, match="un-acquired"):
        Running(lock.release).result()


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((False, 1), ValueError),
        ((True, -2), ValueError),
        ((True, 1e300), OverflowError),
        ((True, "x"), TypeError),
    ],
)
def test_it_refuses_what_the_stdlibs_refuses(
    lock: RLock, args: tuple[bool, float], error: type[Exception]
) -> None:
    with pytest.raises(error):
        lock.acquire(*args)
    with pytest.raises(error):
        stdlib.RLock().acquire(*args)


def test_a_subclass_may_take_arguments_of_its_own() -> None:
    class Named(RLock):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    lock = Named("mine")
    with lock:
        assert re.match(r"<locked .*Named object owner=\d+ count=1 at 0x", repr(lock))
    assert lock.name == "mine"
    with pytest.raises(TypeError):
        RLock("mine")
    with pytest.raises(TypeError):
        RLock(unfair=True)


def test_its_repr_tells_who_holds_it_and_how_often(lock: RLock) -> None:
    assert re.search(r"<unlocked .*RLock object owner=0 count=0 at", repr(lock))
    with lock, lock:
        assert f"owner={stdlib.get_ident()} count=2 at" in repr(lock)


def test_it_goes_away_with_what_refers_to_it() -> None:
    class Cyclic(RLock):
        me: Cyclic

    lock = Cyclic()
    lock.me = lock
    reference = weakref.ref(lock)
    del lock
    gc.collect()
    assert reference() is None


def test_a_condition_of_the_stdlib_can_be_made_of_it(lock: RLock) -> None:
    condition, ready = stdlib.Condition(lock), []  # type: ignore[arg-type]

    def wait() -> bool:
        with condition, condition:
            ready.append(True)
            return condition.wait(LONG) and lock._recursion_count() == 2

    waiting = Running(wait).until_asleep()
    with condition:
        assert ready
        condition.notify()
    assert waiting.result()


def test_two_locks_in_opposite_order_are_a_deadlock_for_one_of_two() -> None:
    first, second, met = RLock(), RLock(), stdlib.Barrier(2)

    def cross(one: RLock, other: RLock) -> bool:
        with one:
            met.wait(LONG)
            try:
                with other:
                    return True
            except DeadlockError:
                return False

    crossing = [Running(cross, first, second), Running(cross, second, first)]
    assert sorted(one.result() for one in crossing) == [False, True]


def test_ctrl_c_ends_the_wait(lock: RLock) -> None:
    done, held = stdlib.Event(), stdlib.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(LONG)

    holding = Running(hold)
    assert held.wait(LONG)
    with signal_in_the_wait(), pytest.raises(KeyboardInterrupt):
        lock.acquire()
    done.set()
    holding.result()
    with lock:
        pass


def test_what_a_signal_handler_raises_while_it_is_taken_back_is_raised_by_one_who_has_it() -> None:
    lock = RLock()
    condition, notified, done = Condition(lock), stdlib.Event(), stdlib.Event()

    def notify() -> None:
        with condition:
            condition.notify()
            notified.set()
            done.wait(LONG)

    with condition, signal_in_the_wait(signal.SIGINT, then=done.set):
        notifying = Running(notify)
        with pytest.raises(KeyboardInterrupt):
            condition.wait_for(notified.is_set, LONG)
        assert lock._is_owned()
    notifying.result()


def test_a_forked_child_has_it_as_the_parent_had_it() -> None:
    ended = run_program("""
    import os, threading, warnings
    from raddle.threading import RLock
    warnings.simplefilter("ignore", DeprecationWarning)

    mine, held = RLock(), RLock()
    mine.acquire()
    mine.acquire()
    threading.Thread(target=lambda: (held.acquire(), mine.acquire()), daemon=True).start()
    while not held.locked():
        pass
    pid = os.fork()
    if pid == 0:
        mine.release()
        mine.release()
        assert not mine.locked() and not held.acquire(timeout=0.01)
        held._at_fork_reinit()
        with held, held:
            os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)
    """)
    assert (ended.err, ended.out.split()) == ("", ["7"])
