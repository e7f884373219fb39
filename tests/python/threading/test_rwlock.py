"""`RWLock`."""

from __future__ import annotations

import gc
import re
import threading as stdlib
import weakref
from typing import Any

import pytest

from raddle.threading import DeadlockError, Lock, RLock, RWLock
from tests.python.futures.support import LONG, run_program
from tests.python.threading.support import Running, signal_in_the_wait


@pytest.fixture(params=[False, True], ids=["writers first", "fair"])
def lock(request: pytest.FixtureRequest) -> RWLock:
    return RWLock(fair=request.param)


def test_many_read_or_one_writes(lock: RWLock) -> None:
    with lock.read():
        assert Running(lock.acquire_read, False).result()
        assert not Running(lock.acquire_write, False).result()
        assert lock.read().locked()
        assert not lock.write().locked()
    assert lock.locked(), "the other thread never released it"
    lock._at_fork_reinit()
    with lock.write() as entered:
        assert entered is True
        assert not Running(lock.acquire_read, False).result()
        assert not Running(lock.acquire_write, False).result()
        assert not Running(lock.read().acquire, True, 0.01).result()
        assert lock.write().locked()
        assert not lock.read().locked()
    assert not lock.locked()


def test_readers_may_come_in_again_even_while_a_writer_waits(lock: RWLock) -> None:
    with lock.read():
        writing = Running(lock.acquire_write).until_asleep()
        with lock.read():
            assert not Running(lock.acquire_read, False).result(), "but no new ones"
        assert lock.read().locked()
    assert writing.result()


def test_a_waiting_writer_goes_before_new_readers() -> None:
    lock, order = RWLock(), []

    def write() -> None:
        with lock.write():
            order.append("write")

    def read() -> None:
        with lock.read():
            order.append("read")

    with lock.read():
        writing = Running(write).until_asleep()
        reading = Running(read).until_asleep()
    writing.result()
    reading.result()
    assert order == ["write", "read"]


def test_a_fair_one_lets_both_in_by_turns() -> None:
    lock, order = RWLock(fair=True), []

    def write(number: int) -> None:
        with lock.write():
            order.append(number)

    def read() -> None:
        with lock.read():
            order.append(0)

    with lock.write():
        running = [
            one.until_asleep() for one in (Running(write, 1), Running(write, 2), Running(read), Running(read))
        ]
    for one in running:
        one.result()
    assert order == [0, 0, 1, 2] or order == [0, 1, 0, 2]


def test_only_who_holds_it_can_release_it(lock: RWLock) -> None:
    for release in (lock.release_read, lock.release_write, lock.downgrade, lock.read().release):
        with pytest.raises(RuntimeError, match="does not hold"):
            release()
    with lock.read():
        for release in (lock.release_read, lock.release_write):
            with pytest.raises(RuntimeError, match="does not hold"):
                Running(release).result()
    with lock.write(), pytest.raises(RuntimeError, match="does not hold"):
        Running(lock.release_write).result()
    assert not lock.locked()


def test_a_writer_becomes_a_reader_and_lets_others_read(lock: RWLock) -> None:
    lock.acquire_write()
    reading = Running(lock.acquire_read).until_asleep()
    lock.downgrade()
    assert reading.result()
    assert not Running(lock.acquire_write, False).result()
    lock.release_read()
    with pytest.raises(RuntimeError):
        lock.release_read()


def test_a_writer_can_not_read_as_well(lock: RWLock) -> None:
    with lock.write():
        for blocking in (True, False):
            with pytest.raises(RuntimeError, match="downgrade"):
                lock.acquire_read(blocking)
        assert not lock.acquire_write(False)
        assert not lock.acquire_write(timeout=0.01)
        with pytest.raises(DeadlockError):
            lock.acquire_write()
    assert not lock.locked()


def test_a_reader_that_wants_to_write_would_wait_for_itself(lock: RWLock) -> None:
    with lock.read():
        assert not lock.acquire_write(False)
        with pytest.raises(DeadlockError):
            lock.acquire_write()
        assert Running(lock.acquire_read, False).result(), "it holds nobody back any more"


def test_readers_and_writers_of_two_locks_in_a_circle(lock: RWLock) -> None:
    other, met = RLock(), stdlib.Barrier(2)

    def read_first() -> bool:
        with lock.read():
            met.wait(LONG)
            try:
                with other:
                    return True
            except DeadlockError:
                return False

    def write_last() -> bool:
        with other:
            met.wait(LONG)
            try:
                with lock.write():
                    return True
            except DeadlockError:
                return False

    running = [Running(read_first), Running(write_last)]
    assert sorted(one.result() for one in running) == [False, True]


def test_a_circle_through_readers_that_writers_hold_back() -> None:
    """Each of two threads reads one lock and wants to read the other; each lock has a writer that waits."""
    first, second, both_read, writers = RWLock(), RWLock(), stdlib.Barrier(3), stdlib.Event()
    outcomes: list[str] = []

    def cross(one: RWLock, other: RWLock) -> None:
        with one.read():
            both_read.wait(LONG)
            assert writers.wait(LONG)
            try:
                with other.read():
                    outcomes.append("had")
            except DeadlockError:
                outcomes.append("deadlock")

    def write(lock: RWLock) -> None:
        with lock.write():
            pass

    crossing = [Running(cross, first, second), Running(cross, second, first)]
    both_read.wait(LONG)
    writing = [Running(write, lock).until_asleep() for lock in (first, second)]
    writers.set()
    for one in crossing + writing:
        one.result()
    assert sorted(outcomes) == ["deadlock", "had"]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((False, 1), ValueError),
        ((True, -2), ValueError),
        ((True, 1e300), OverflowError),
        ((True, "x"), TypeError),
    ],
)
def test_it_refuses_what_a_lock_refuses(lock: RWLock, args: Any, error: type[Exception]) -> None:
    for acquire in (lock.acquire_read, lock.acquire_write, lock.read().acquire, Lock().acquire):
        with pytest.raises(error):
            acquire(*args)
    with pytest.raises(TypeError):
        RWLock(True)  # type: ignore[misc]
    assert not lock.locked()


def test_it_tells_who_holds_it(lock: RWLock) -> None:
    me = (stdlib.get_ident(), None)
    assert lock._holder() == []
    with lock.read(), lock.read():
        assert lock._holder() == [me]
        assert re.fullmatch(r"<threading\.RWLock at 0x\w+: readers=1>", repr(lock))
        assert repr(lock.read()) == f"<the read side of {lock!r}>"
    with lock.write():
        assert lock._holder() == [me]
        assert re.fullmatch(r"<threading\.RWLock at 0x\w+: writing>", repr(lock))
    assert any(found is lock for found in gc.get_objects())
    assert weakref.ref(lock)() is lock
    lock = RWLock()
    reference = weakref.ref(lock)
    side = lock.read()
    del lock
    gc.collect()
    assert reference() is not None
    del side
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("side", ["read", "write"])
def test_ctrl_c_ends_the_wait_and_holds_nobody_back(lock: RWLock, side: str) -> None:
    held, done = stdlib.Event(), stdlib.Event()

    def hold() -> None:
        with lock.write() if side == "read" else lock.read():
            held.set()
            done.wait(LONG)

    holding = Running(hold)
    assert held.wait(LONG)
    with signal_in_the_wait(), pytest.raises(KeyboardInterrupt):
        getattr(lock, side)().acquire()
    if side == "write":
        assert lock.acquire_read(False)
        lock.release_read()
    done.set()
    holding.result()
    assert lock.acquire_write(timeout=LONG)


@pytest.mark.parametrize("threads", [2, 100])
def test_what_it_protects_stays_whole(lock: RWLock, threads: int) -> None:
    first = second = 0

    def write() -> None:
        nonlocal first, second
        for _ in range(1000 // threads):
            with lock.write():
                first += 1
                second += 1

    def read() -> None:
        for _ in range(1000 // threads):
            with lock.read():
                assert first == second

    running = [Running(function) for function in [write, read] * (threads // 2)]
    for one in running:
        one.result()
    assert first == second == 1000 // threads * (threads // 2)


def test_a_forked_child_has_it_as_the_parent_had_it() -> None:
    ended = run_program("""
    import os, threading, warnings
    from raddle.threading import RWLock
    warnings.simplefilter("ignore", DeprecationWarning)

    for fair in (False, True):
        mine, written, read = (RWLock(fair=fair) for _ in range(3))
        mine.acquire_read()
        for wait in (written.acquire_write, read.acquire_read, mine.acquire_write):
            threading.Thread(target=wait, daemon=True).start()
        while not (written.locked() and read.locked()):
            pass
        pid = os.fork()
        if pid == 0:
            mine.release_read()
            assert mine.acquire_write(False)
            mine.release_write()
            for lock in (written, read):
                assert not lock.acquire_write(timeout=0.01)
                lock._at_fork_reinit()
                assert lock.acquire_write(False)
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)
    """)
    assert (ended.err, ended.out.split()) == ("", ["7", "7"])
