"""`Barrier`."""

from __future__ import annotations

import gc
import re
import threading as stdlib
import time
import weakref
from typing import Any

import pytest

from raddle.threading import Barrier, BrokenBarrierError
from tests.python.futures.support import LONG, Gate, run_program, until
from tests.python.threading.support import Running, signal_in_the_wait


@pytest.mark.parametrize("parties", [1, 2, 200])
def test_nobody_goes_on_before_all_have_come(parties: int) -> None:
    barrier, come = Barrier(parties), []

    def meet() -> list[int]:
        indices = []
        for lap in range(1, 4):
            come.append(lap)
            indices.append(barrier.wait(LONG))
            assert come.count(lap) == parties
        return indices

    laps = [one.result() for one in [Running(meet) for _ in range(parties)]]
    for lap in zip(*laps, strict=True):
        assert sorted(lap) == list(range(parties))
    assert (barrier.n_waiting, barrier.broken, barrier.parties) == (0, False, parties)


def test_the_last_one_acts_before_the_others_go_on() -> None:
    acted: list[int] = []
    barrier = Barrier(2, lambda: acted.append(stdlib.get_ident()))

    def meet() -> int:
        barrier.wait(LONG)
        assert len(acted) == 1
        return stdlib.get_ident()

    first = Running(meet).until_asleep()
    last = Running(meet)
    first.result()
    assert acted == [last.result()]


def test_an_action_that_fails_breaks_it() -> None:
    barrier = Barrier(2, action=lambda: 1 / 0)
    waiting = Running(barrier.wait).until_asleep()
    with pytest.raises(ZeroDivisionError):
        barrier.wait()
    with pytest.raises(BrokenBarrierError):
        waiting.result()
    assert barrier.broken


def test_a_wait_that_times_out_breaks_it() -> None:
    barrier = Barrier(3)
    waiting = Running(barrier.wait).until_asleep()
    for timeout in (0.02, 0, -1):
        with pytest.raises(BrokenBarrierError) as caught:
            barrier.wait(timeout)
        assert caught.value.args == ()
    with pytest.raises(BrokenBarrierError):
        waiting.result()
    assert re.fullmatch(r"<threading\.Barrier at 0x\w+: broken>", repr(barrier))
    barrier.reset()
    assert not barrier.broken


def test_it_has_a_timeout_of_its_own() -> None:
    barrier = Barrier(2, timeout=0.02)
    with pytest.raises(BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    waiting = Running(barrier.wait, LONG).until_asleep()
    barrier.wait()
    waiting.result()


@pytest.mark.parametrize("how", ["reset", "abort"])
def test_those_who_wait_are_let_go(how: str) -> None:
    barrier = Barrier(3)
    waiting = [Running(barrier.wait).until_asleep() for _ in range(2)]
    assert re.fullmatch(r"<threading\.Barrier at 0x\w+: waiters=2/3>", repr(barrier))
    getattr(barrier, how)()
    for one in waiting:
        with pytest.raises(BrokenBarrierError):
            one.result()
    assert barrier.broken == (how == "abort")
    assert barrier.n_waiting == 0


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: Barrier(0), ValueError),
        (lambda: Barrier(-1), ValueError),
        (lambda: Barrier(2**40), ValueError),
        (lambda: Barrier("2"), TypeError),  # type: ignore[arg-type]
        (lambda: Barrier(), TypeError),  # type: ignore[call-arg]
        (lambda: Barrier(2).wait("1"), TypeError),  # type: ignore[arg-type]
        (lambda: Barrier(2).wait(float("nan")), ValueError),
        (lambda: Barrier(2).wait(1e300), OverflowError),
    ],
)
def test_it_refuses_bad_input(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_a_subclass_may_take_arguments_of_its_own() -> None:
    class Pair(Barrier):
        def __init__(self, name: str) -> None:
            super().__init__(2)
            self.name = name

    pair = Pair("mine")
    assert (pair.name, pair.parties) == ("mine", 2)


def test_it_goes_away_with_its_action() -> None:
    class Meeting:
        def __init__(self) -> None:
            self.barrier = Barrier(2, self.act)

        def act(self) -> None: ...

    reference = weakref.ref(Meeting().barrier)
    gc.collect()
    assert reference() is None


def test_one_whose_action_is_its_own_method_goes_away() -> None:
    class Meeting(Barrier):
        def __init__(self) -> None:
            super().__init__(1, self.act)

        def act(self) -> None: ...

    for _ in range(10):
        assert Meeting().wait() == 0
    gc.collect()
    # Not by weak references: the collector clears them before it tries to free what they refer to.
    assert [type(thing) for thing in gc.get_objects()].count(Meeting) == 0


def test_once_all_have_come_the_time_is_up_to_the_action() -> None:
    gate = Gate()
    barrier = Barrier(2, gate)
    first = Running(barrier.wait, 0.1)
    until(lambda: barrier.n_waiting)
    last = Running(barrier.wait)
    gate.await_entry()
    time.sleep(0.2)
    assert first.thread.is_alive()
    assert not barrier.broken
    gate.open()
    assert (first.result(), last.result()) == (0, 1)


def test_ctrl_c_takes_one_away_and_leaves_it_whole() -> None:
    barrier = Barrier(2)
    with signal_in_the_wait(), pytest.raises(KeyboardInterrupt):
        barrier.wait()
    assert (barrier.n_waiting, barrier.broken) == (0, False)
    waiting = Running(barrier.wait, LONG)
    barrier.wait(LONG)
    waiting.result()


def test_a_forked_child_finds_nobody_waiting() -> None:
    ended = run_program("""
    import os, threading, warnings
    from raddle.threading import Barrier
    warnings.simplefilter("ignore", DeprecationWarning)

    barrier = Barrier(2)
    threading.Thread(target=barrier.wait, daemon=True).start()
    while not barrier.n_waiting:
        pass
    pid = os.fork()
    if pid == 0:
        assert barrier.n_waiting == 0
        threading.Thread(target=barrier.wait).start()
        barrier.wait(60)
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    barrier.wait(60)
    """)
    assert (ended.err, ended.out.split()) == ("", ["7"])


def test_the_next_round_may_begin_at_once() -> None:
    barrier, laps = Barrier(2), 2000

    def run() -> None:
        for _ in range(laps):
            barrier.wait(LONG)

    running = [Running(run) for _ in range(2)]
    for one in running:
        one.result()
    until(lambda: barrier.n_waiting == 0)
