"""`Semaphore` and `BoundedSemaphore`."""

from __future__ import annotations

import gc
import re
import threading as stdlib
import weakref
from typing import Any

import pytest

from raddle.threading import BoundedSemaphore, Semaphore
from tests.python.futures.support import LONG, run_program
from tests.python.threading.support import Running, signal_in_the_wait

KINDS = [Semaphore, BoundedSemaphore]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type[Semaphore]:
    return request.param  # type: ignore[no-any-return]


def test_permits_are_taken_and_given_back(kind: type[Semaphore]) -> None:
    semaphore = kind(2)
    assert semaphore.acquire() is True
    with semaphore as entered:
        assert entered is True
        assert not semaphore.acquire(False)
        assert not semaphore.acquire(timeout=0.01)
        assert not semaphore.acquire(timeout=0)
        assert not semaphore.acquire(timeout=-1)
        assert semaphore._value == 0
    assert semaphore._value == 1
    semaphore.release()
    assert semaphore._value == 2
    assert kind()._value == 1


def test_several_are_given_back_at_once(kind: type[Semaphore]) -> None:
    semaphore = kind(3)
    for _ in range(3):
        semaphore.acquire()
    waiting = [Running(semaphore.acquire).until_asleep() for _ in range(3)]
    semaphore.release(3)
    assert all(one.result() for one in waiting)
    assert semaphore._value == 0


def test_only_a_bounded_one_refuses_more_than_it_had() -> None:
    bounded = BoundedSemaphore(2)
    with pytest.raises(ValueError, match="released too many times"):
        bounded.release()
    bounded.acquire()
    with pytest.raises(ValueError, match="released too many times"):
        bounded.release(2)
    assert bounded._value == 1
    bounded.release()
    assert bounded._initial_value == 2
    unbounded = Semaphore(0)
    unbounded.release(5)
    assert unbounded._value == 5
    unbounded.release(2**63 - 6)
    with pytest.raises(OverflowError):
        unbounded.release()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda kind: kind(-1), ValueError),
        (lambda kind: kind("1"), TypeError),
        (lambda kind: kind(2**70), OverflowError),
        (lambda kind: kind(1, 2), TypeError),
        (lambda kind: kind().acquire(False, 1), ValueError),
        (lambda kind: kind().acquire(0, timeout=0), ValueError),
        (lambda kind: kind(0).acquire(timeout=float("nan")), ValueError),
        (lambda kind: kind(0).acquire(timeout=1e300), OverflowError),
        (lambda kind: kind().release(0), ValueError),
        (lambda kind: kind().release(-1), ValueError),
    ],
)
def test_it_refuses_bad_input(kind: type[Semaphore], call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(kind)


def test_its_repr_tells_its_value() -> None:
    assert re.fullmatch(r"<threading\.Semaphore at 0x\w+: value=3>", repr(Semaphore(3)))
    assert re.fullmatch(r"<threading\.BoundedSemaphore at 0x\w+: value=3/3>", repr(BoundedSemaphore(3)))


def test_a_subclass_may_take_arguments_of_its_own(kind: type[Semaphore]) -> None:
    class Pool(kind):  # type: ignore[misc, valid-type]
        def __init__(self, name: str, *, size: int) -> None:
            super().__init__(size)
            self.name = name

    pool = Pool("connections", size=2)
    assert (pool.name, pool._value) == ("connections", 2)
    assert f"{Pool.__qualname__} at" in repr(pool)
    assert isinstance(pool, Semaphore)
    pool.__init__("others", size=3)
    assert (pool.name, pool._value) == ("others", 3)


def test_with_calls_the_release_of_a_subclass(kind: type[Semaphore]) -> None:
    class Counting(kind):  # type: ignore[misc, valid-type]
        releases = 0

        def release(self, n: int = 1) -> None:
            self.releases += 1
            super().release(n)

    counting = Counting()
    for _ in range(3):
        with counting:
            assert counting._value == 0
    assert (counting.releases, counting._value) == (3, 1)


def test_it_says_so_when_it_was_not_initialized(kind: type[Semaphore]) -> None:
    class Forgetful(kind):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            pass

    for call in (Forgetful().acquire, Forgetful().release, Forgetful().__repr__):
        with pytest.raises(RuntimeError, match="__init__"):
            call()


def test_it_has_attributes_and_goes_away_with_its_cycle(kind: type[Semaphore]) -> None:
    semaphore: Any = kind()
    semaphore.me = semaphore
    reference = weakref.ref(semaphore)
    del semaphore
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("fair", [False, True])
@pytest.mark.parametrize("threads", [1, 100])
def test_no_more_are_inside_than_there_are_permits(kind: type[Semaphore], fair: bool, threads: int) -> None:
    semaphore, inside, most, lock = kind(3, fair=fair), 0, 0, stdlib.Lock()

    def visit() -> None:
        nonlocal inside, most
        for _ in range(1000 // threads):
            with semaphore:
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1

    visiting = [Running(visit) for _ in range(threads)]
    for one in visiting:
        one.result()
    assert (inside, semaphore._value) == (0, 3)
    assert most <= 3


def test_a_fair_one_gives_in_the_order_of_arrival(kind: type[Semaphore]) -> None:
    semaphore, order = kind(1, fair=True), []

    def take(number: int) -> None:
        with semaphore:
            order.append(number)

    with semaphore:
        waiting = [Running(take, number).until_asleep() for number in range(5)]
    for one in waiting:
        one.result()
    assert order == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("fair", [False, True])
def test_ctrl_c_ends_the_wait_and_takes_no_permit_along(fair: bool) -> None:
    semaphore = Semaphore(0, fair=fair)
    with signal_in_the_wait(), pytest.raises(KeyboardInterrupt):
        semaphore.acquire()
    semaphore.release()
    assert semaphore.acquire(timeout=LONG)


def test_a_forked_child_has_the_permits_that_were_free() -> None:
    ended = run_program("""
    import os, threading, warnings
    from raddle.threading import Semaphore
    warnings.simplefilter("ignore", DeprecationWarning)

    for fair in (False, True):
        semaphore = Semaphore(1, fair=fair)
        semaphore.acquire()
        threading.Thread(target=semaphore.acquire, daemon=True).start()
        pid = os.fork()
        if pid == 0:
            assert not semaphore.acquire(timeout=0.01)
            semaphore.release()
            assert semaphore.acquire(timeout=60) and not semaphore.acquire(False)
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)
    """)
    assert (ended.err, ended.out.split()) == ("", ["7", "7"])
