"""`Event`."""

from __future__ import annotations

import gc
import re
import threading as stdlib
import weakref
from typing import Any

import pytest

from raddle.threading import Event
from tests.python.futures.support import LONG, run_program
from tests.python.threading.support import Running, signal_in_the_wait


def test_it_is_set_and_cleared() -> None:
    event = Event()
    assert not event.is_set()
    assert not event.wait(0)
    assert not event.wait(-1)
    assert not event.wait(0.01)
    for _ in range(2):
        event.set()
        assert event.is_set()
        assert event._flag
        assert event.wait()
        assert event.wait(0)
    for _ in range(2):
        event.clear()
        assert not event.is_set()


@pytest.mark.parametrize("threads", [1, pytest.param(200, marks=pytest.mark.slow)])
def test_all_who_wait_go_on_although_it_is_cleared_at_once(threads: int) -> None:
    event = Event()
    waiting = [Running(event.wait, LONG) for _ in range(threads)]
    for one in waiting:
        one.until_asleep()
    event.set()
    event.clear()
    assert all(one.result() for one in waiting)
    assert not event.is_set()


@pytest.mark.parametrize(
    ("timeout", "error"), [("1", TypeError), (float("nan"), ValueError), (1e300, OverflowError)]
)
def test_it_refuses_bad_timeouts(timeout: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Event().wait(timeout)
    with pytest.raises(TypeError):
        Event(1)  # type: ignore[call-arg]


def test_its_old_name_warns() -> None:
    with pytest.warns(DeprecationWarning, match=r"isSet\(\) is deprecated, use is_set\(\)") as caught:
        assert not Event().isSet()
    assert caught[0].filename == __file__


def test_its_repr_tells_whether_it_is_set() -> None:
    event = Event()
    assert re.fullmatch(r"<threading\.Event at 0x\w+: unset>", repr(event))
    event.set()
    assert re.fullmatch(r"<threading\.Event at 0x\w+: set>", repr(event))


def test_a_subclass_may_take_arguments_of_its_own() -> None:
    class Named(Event):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def set(self) -> None:
            super().set()
            self.name += "!"

    event = Named("ready")
    event.set()
    assert (event.name, event.wait()) == ("ready!", True)


def test_it_has_attributes_and_goes_away_with_its_cycle() -> None:
    event: Any = Event()
    event.me = event
    reference = weakref.ref(event)
    del event
    gc.collect()
    assert reference() is None


def test_the_stdlibs_threads_can_use_it() -> None:
    event = Event()
    timer = stdlib.Timer(0.01, event.set)
    timer.start()
    assert event.wait(LONG)
    timer.join()


def test_ctrl_c_ends_the_wait() -> None:
    event = Event()
    with signal_in_the_wait(), pytest.raises(KeyboardInterrupt):
        event.wait()
    event.set()
    assert event.wait(LONG)


def test_a_forked_child_has_it_as_the_parent_had_it() -> None:
    ended = run_program("""
    import os, threading, warnings
    from raddle.threading import Event
    warnings.simplefilter("ignore", DeprecationWarning)

    unset, was_set = Event(), Event()
    was_set.set()
    threading.Thread(target=unset.wait, daemon=True).start()
    pid = os.fork()
    if pid == 0:
        unset._at_fork_reinit()
        assert was_set.wait(60) and not unset.wait(0.01)
        threading.Thread(target=unset.set).start()
        assert unset.wait(60)
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    unset.set()
    """)
    assert (ended.err, ended.out.split()) == ("", ["7"])
