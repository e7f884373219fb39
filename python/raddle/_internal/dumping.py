"""Who holds what, and who waits for what, at this moment: on demand, or on a signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from io import UnsupportedOperation
from types import FrameType
from typing import Any, TextIO

from raddle import _raddle
from raddle._internal import lost_wakeups
from raddle._internal.standing import (
    Standing,
    current_frames,
    current_holds,
    place_in,
    show_held,
    show_stack,
    show_wanted,
    standing,
    tasks_at,
)

_Handler = Callable[[int, FrameType | None], Any] | int | None


def dump(file: TextIO | None = None) -> None:
    """Print every thread's stack, the locks that it holds and what it waits for.

    Asyncio's tasks are told of too, if they wait for Raddle's primitives. For people: the format may change. Locks in
    the sense of this report are `Lock`, `RLock` and `RWLock`; those that `gc.freeze` has frozen are told of while
    somebody waits for them.

    Args:
        file: where to; by default `sys.stderr`.
    """
    print(_text(), file=sys.stderr if file is None else file, flush=True)


def _text() -> str:
    frames = current_frames()
    try:
        return "\n\n".join(_paragraph(told, waits) for told, waits in _everybody(frames))
    finally:
        frames.clear()


def _everybody(frames: dict[int, FrameType]) -> list[tuple[Standing, list[str]]]:
    holds = current_holds()
    waits: dict[int, list[str]] = {}
    tasks = []
    told = set()
    for ident, task, wants, timed in _raddle.waits():
        wanted = show_wanted(wants) + (", for a time" if timed and task is None else "")
        if task is None:
            waits.setdefault(ident, []).append(wanted)
        else:
            told.add(id(task))
            tasks.append((standing(ident, task, wants, frames=frames, holds=holds), [wanted]))
    # Those that hold something, and wait for something else.
    busy = {address: ident for ident, address in holds if address is not None and address not in told}
    tasks += [
        (standing(busy[id(task)], task, None, frames=frames, holds=holds), []) for task in tasks_at(busy)
    ]
    threads = [
        (standing(ident, None, None, frames=frames, holds=holds), waits.get(ident, [])) for ident in frames
    ]
    return threads + tasks


def _paragraph(told: Standing, waits: list[str]) -> str:
    kind = "Thread" if told.task is None else "Task"
    here = " (which prints this)" if told.task is None and told.ident == threading.get_ident() else ""
    lines = [f"{kind} {told.name!r}{here}:"]
    if told.stack:
        lines.append(show_stack(told.stack))
    else:
        lines.append(f"  {place_in(told.stack)}")
    lines += [
        f"  holds {show_held(thing, place)}" for thing, place in zip(told.holds, told.acquired, strict=True)
    ]
    lines += [f"  wants {wanted}" for wanted in waits]
    return "\n".join(lines)


_registered: dict[int, tuple[_Handler, _Handler]] = {}
"""By signal: our handler, and the one that was there before."""


def register(signum: int, file: TextIO | None = None, chain: bool = False) -> None:
    """Have a signal print what `dump` prints; for a program that hangs, from outside: `kill -USR1 PID`.

    The handler is Python code, so the main thread must come to run it: it does while it waits for any of Raddle's
    primitives, but not while it is stuck in C code. `faulthandler.register` prints the stacks even then.

    The program may be in the middle of a write to the same file. So the text goes to the file's descriptor if it has
    one, past what is in the buffer, and what fails is told to `sys.unraisablehook` and not raised.

    Args:
        signum: the signal, such as `signal.SIGUSR1`.
        file: where to; by default `sys.stderr`.
        chain: call the handler that was there before as well.

    Raises:
        ValueError: not called from the main thread, or the signal can't be handled.
    """
    before = signal.getsignal(signum)
    if signum in _registered and before is _registered[signum][0]:
        before = _registered[signum][1]

    def handler(number: int, frame: FrameType | None) -> None:
        try:
            _write(_text() + "\n", sys.stderr if file is None else file)
        except Exception as error:
            _raddle.tell_unraisable(error, handler)
        if chain and callable(before):
            before(number, frame)

    signal.signal(signum, handler)
    _forget(signum)
    _registered[signum] = (handler, before)
    if not (chain and callable(before)):
        lost_wakeups.handlers_that_only_tell.add(handler)


def _write(text: str, file: TextIO) -> None:
    """Write in the midst of anything, be it another write to the same file."""
    try:
        descriptor = file.fileno()
    except (AttributeError, UnsupportedOperation):
        print(text, end="", file=file, flush=True)
        return
    rest = text.encode(getattr(file, "encoding", None) or "utf-8", "backslashreplace")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def unregister(signum: int) -> bool:
    """Give a signal back to the handler that it had before `register`.

    Args:
        signum: the signal.

    Returns:
        Whether it was registered.
    """
    if signum not in _registered:
        return False
    handler, before = _registered[signum]
    if signal.getsignal(signum) is handler:
        signal.signal(signum, signal.SIG_DFL if before is None else before)
    _forget(signum)
    return True


def _forget(signum: int) -> None:
    known = _registered.pop(signum, None)
    if known is not None:
        lost_wakeups.handlers_that_only_tell.discard(known[0])


for _function in (dump, register, unregister):
    # Where users find them.
    _function.__module__ = "raddle.threading"
