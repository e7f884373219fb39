"""Lost wake-ups: every thread waits, and nothing is left that could wake one.

A thread that has waited for long asks here, again and again at growing intervals, so this costs nothing to those whose
waits are short. What it sees counts if it sees the same twice. Then it is logged, once in a process: from there on
nothing happens any more.

Whatever could wake a thread, as far as can be known, keeps this silent: a thread that is not in an untimed wait on
Raddle's primitives, a thread that Python does not know, a timer of Raddle's that is still to ring, a signal handler.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType

from raddle import _raddle
from raddle._internal.standing import current_frames, current_holds, describe, show_stack, standing

LOGGER = logging.getLogger("raddle.threading")

_SHUTDOWN = threading._shutdown.__code__  # type: ignore[attr-defined]
_TASKS = "/proc/self/task"

Seen = tuple[frozenset[tuple[int, int]], int]

_told = False

handlers_that_only_tell: set[object] = set()
"""Signal handlers that wake nobody: those of `register`."""


def tell_of_lost_wakeups(wanted: object, asleep: int, before: Seen | None) -> Seen | None:
    """Tell of lost wake-ups if there are any. Called by a thread in the midst of an untimed wait.

    Args:
        wanted: what it waits for.
        asleep: how many threads wait untimed for somebody to wake them, this one included.
        before: what this returned when it was asked last; only what is seen twice is told.

    Returns:
        What is seen, if it looks as if nobody could wake this thread, and was not seen before. Else None.
    """
    global _told
    # The cheap question first. The main thread may wait for the others to end.
    if _told or asleep < len(threading._active) - threading._SHUTTING_DOWN:  # type: ignore[attr-defined]
        return None
    seen = _look()
    if seen is None or seen != before:
        return seen
    _told = True
    _log(wanted)
    return None


def _look() -> Seen | None:
    """Return the threads, each with where it stands, when none of them can ever go on."""
    me = threading.get_ident()
    frames = current_frames()
    try:
        asleep = {*_raddle.sleepers(), me}
        if {*current_frames()} != {*frames}:
            return None
        ending = {
            ident for ident in frames.keys() - asleep if _waits_for_threads_to_end(ident, frames, asleep)
        }
        if frames.keys() - asleep - ending or _somebody_else_could_act(len(frames)):
            return None
        return frozenset((ident, frames[ident].f_lasti) for ident in frames if ident != me), len(frames)
    finally:
        frames.clear()


def _waits_for_threads_to_end(ident: int, frames: dict[int, FrameType], asleep: set[int]) -> bool:
    """Tell whether a thread is the main one at the program's end, waiting for a thread that sleeps."""
    if ident != threading.main_thread().ident or frames[ident].f_code is not _SHUTDOWN:
        return False
    threads = [threading._active.get(sleeper) for sleeper in asleep]  # type: ignore[attr-defined]
    return any(thread is not None and not thread.daemon for thread in threads)


def _somebody_else_could_act(threads: int) -> bool:
    """Tell whether there is anything besides the threads that Python knows."""
    timer_is_idle = _raddle.timer_is_idle()
    if timer_is_idle is False:
        return True
    try:
        known = threads + (timer_is_idle is True)
        if len(os.listdir(_TASKS)) > known:
            return True
    except OSError:
        return True
    harmless = [signal.default_int_handler, *handlers_that_only_tell]
    handlers = map(signal.getsignal, signal.valid_signals())
    return any(callable(handler) and not any(handler is known for known in harmless) for handler in handlers)


def _log(wanted: object) -> None:
    """Log every thread's stack, what it holds and what it waits for."""
    me = threading.get_ident()
    frames, holds = current_frames(), current_holds()
    waits = {ident: what for ident, task, what, _ in _raddle.waits() if task is None}
    waits[me] = wanted
    parts = ["every thread waits, and nothing is left that could wake one of them"]
    try:
        for ident in frames:
            if ident in waits:
                told = standing(ident, None, waits[ident], frames=frames, holds=holds)
                parts += ["\n".join(describe(told)), show_stack(told.stack)]
            else:
                parts.append("The main thread waits for the others to end.")
    finally:
        frames.clear()
    LOGGER.error("%s", "\n".join(parts))


def _start_afresh() -> None:
    global _told
    _told = False


os.register_at_fork(after_in_child=_start_afresh)
