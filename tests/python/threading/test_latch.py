"""`Latch`."""

from __future__ import annotations

import re
import weakref
from typing import Any

import pytest

from raddle.threading import Latch
from tests.python.futures.support import LONG, run_program
from tests.python.threading.support import Running, signal_in_the_wait


@pytest.mark.parametrize("threads", [1, pytest.param(200, marks=pytest.mark.slow)])
def test_it_opens_at_zero_for_all_who_wait(threads: int) -> None:
    latch = Latch(3)
    waiting = [Running(latch.wait, LONG) for _ in range(threads)]
    for one in waiting:
        one.until_asleep()
    assert (latch.count, latch.count_down(), latch.count) == (3, 2, 2)
    assert latch.count_down(2) == 0
    assert all(one.result() for one in waiting)


def test_it_stays_open_and_does_not_go_below_zero() -> None:
    latch = Latch(1)
    assert latch.count_down(5) == 0
    assert latch.count_down() == 0
    assert latch.wait()
    assert latch.wait(0)
    assert Latch(0).wait()


def test_a_wait_that_times_out_tells() -> None:
    latch = Latch(1)
    assert not latch.wait(0.01)
    assert not latch.wait(0)
    assert not latch.wait(-1)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: Latch(), TypeError),  # type: ignore[call-arg]
        (lambda: Latch("1"), TypeError),  # type: ignore[arg-type]
        (lambda: Latch(-1), ValueError),
        (lambda: Latch(2**63), OverflowError),
        (lambda: Latch(1).count_down(0), ValueError),
        (lambda: Latch(1).count_down(-1), ValueError),
        (lambda: Latch(1).wait("1"), TypeError),  # type: ignore[arg-type]
    ],
)
def test_it_refuses_bad_input(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_its_repr_tells_its_count() -> None:
    latch = Latch(2)
    assert re.fullmatch(r"<threading\.Latch at 0x\w+: count=2>", repr(latch))
    assert weakref.ref(latch)() is latch


def test_ctrl_c_ends_the_wait() -> None:
    latch = Latch(1)
    with signal_in_the_wait(), pytest.raises(KeyboardInterrupt):
        latch.wait()
    latch.count_down()
    assert latch.wait(LONG)


def test_a_forked_child_counts_for_itself() -> None:
    ended = run_program("""
    import os, threading, warnings
    from raddle.threading import Latch
    warnings.simplefilter("ignore", DeprecationWarning)

    latch = Latch(2)
    threading.Thread(target=latch.wait, daemon=True).start()
    latch.count_down()
    pid = os.fork()
    if pid == 0:
        threading.Thread(target=latch.count_down).start()
        assert latch.wait(60)
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), latch.count)
    latch.count_down()
    """)
    assert (ended.err, ended.out.split()) == ("", ["7", "1"])
