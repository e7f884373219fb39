"""Tasks that die, hang or answer signals, in a module of its own, which takes no time to import."""

from __future__ import annotations

import os
import pickle
import signal
from typing import Any, ClassVar, NoReturn

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


class Blank:
    """Travels without being copied, and arrives as a view of its bytes."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)

    def __reduce_ex__(self, _protocol: Any) -> tuple[Any, ...]:
        return memoryview, (pickle.PickleBuffer(self.data),)


def length(data: memoryview) -> int:
    return data.nbytes


class Touchy:
    """A number. In this process, what unpickles one is interrupted as often as `interrupts` says, in this way."""

    interrupts: ClassVar[list[type[BaseException]]] = []

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return touch, (self.number,)


def touch(number: int) -> int:
    if Touchy.interrupts:
        raise Touchy.interrupts.pop()
    return number


def touchy_error(number: int) -> None:
    raise TouchyError(number)


class TouchyError(Exception):
    def __reduce__(self) -> tuple[Any, ...]:
        return _touch_error, self.args


def _touch_error(number: int) -> TouchyError:
    return TouchyError(touch(number))


class Interrupting:
    """Interrupts whoever pickles it the first time; a number then."""

    def __init__(self, number: int = 7) -> None:
        self.number: int | None = number
        self.interrupts = 1

    def __reduce__(self) -> tuple[Any, ...]:
        self.interrupts -= 1
        if self.interrupts == 0:
            raise KeyboardInterrupt
        return number_of, (self.number,)


def number_of(number: int) -> int:
    return number
