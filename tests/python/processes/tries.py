"""Tasks that die, hang or answer signals, in a module of its own, which takes no time to import."""

from __future__ import annotations

import os
import signal
from typing import Any, NoReturn

from tests.python.executors.jobs import Door, Journal


def die(journal: Journal, deaths: int) -> int:
    """Kill the worker so many times, then return how often it was called."""
    calls = 1 + journal.note(os.getpid())
    if calls <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return calls


def die_after(door: Door, journal: Journal) -> None:
    journal.note(os.getpid())
    door()
    os.kill(os.getpid(), signal.SIGKILL)


def enter(door: Door, journal: Journal) -> None:
    journal.note("entered")
    door()


def answer_the_signal(door: Door, journal: Journal) -> NoReturn:
    """Answer SIGTERM with an exception of the task's own."""

    def answer(_signal: int, _frame: object) -> None:
        raise LookupError("the task's own")

    journal.note("attempt")
    signal.signal(signal.SIGTERM, answer)
    door()
    while True:
        pass


def ignore_and_spin(door: Door) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    door()
    while True:
        pass


def spoil(large: bytearray, small: list[int], journal: Journal) -> tuple[int, list[int]]:
    """Change the arguments, and kill the worker the first two times; return what was found in them."""
    found = large[0], list(small)
    large[:] = bytes(len(large))
    small.clear()
    if journal.note(found) < 2:
        os.abort()
    return found


def die_then_enter(door: Door, journal: Journal) -> None:
    if journal.note("attempt") == 0:
        os.abort()
    door()


class Loud:
    """Counts how often one was unpickled in this process."""

    loaded = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return unpack, ()


def unpack() -> Loud:
    Loud.loaded += 1
    return Loud()
