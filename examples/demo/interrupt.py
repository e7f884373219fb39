"""Ctrl-C: one KeyboardInterrupt, then quiet while everything is put away."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

_arrived = False
_instead: Callable[[], None] | None = None


def _once(_signal: int, _frame: FrameType | None) -> None:
    global _arrived
    _arrived = True
    # A second Ctrl-C would cut through the cleaning up that the first one asked for; that is short anyway.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if _instead is None:
        raise KeyboardInterrupt
    _instead()


def interrupt_once() -> Callable[[], None]:
    """Turn the next SIGINT into a `KeyboardInterrupt`, and ignore all later ones to the end of the process.

    Where SIGINT was ignored from the start (a job in the background), it stays so.

    Returns:
        `check_interrupt`.
    """
    report = sys.unraisablehook

    def report_others(dropped: "sys.UnraisableHookArgs") -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            report(dropped)

    sys.unraisablehook = report_others
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _once)
    return check_interrupt


def interrupt_no_more() -> None:
    """Ignore SIGINT to the end of the process: the work is done, and a traceback is all that could come of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def check_interrupt() -> None:
    """Raise the interrupt if it has come, but was held back or got lost; inside `interrupt_calls`, do nothing.

    Python reports and drops an exception raised in a ``__del__`` or a weak reference's callback, which is where a
    signal can happen to arrive.
    """
    if _arrived and _instead in (None, _wait_for_check):
        raise KeyboardInterrupt


def interrupted() -> bool:
    """Tell whether the interrupt has come."""
    return _arrived


@contextmanager
def interrupt_calls(instead: Callable[[], None]) -> Iterator[None]:
    """Call `instead` at an interrupt while the block lasts; `KeyboardInterrupt` is raised when it is left."""
    global _instead
    before, _instead = _instead, instead
    try:
        yield
    finally:
        _instead = before
        check_interrupt()


def interrupt_at_checks() -> AbstractContextManager[None]:
    """Raise an interrupt only in `check_interrupt`, or when the block is left.

    The stdlib's executors and queues are built of locks written in Python. An exception thrown in between can leave one
    of them locked for ever, and then whoever shuts them down waits for ever.
    """
    return interrupt_calls(_wait_for_check)


def _wait_for_check() -> None:
    pass


@contextmanager
def interrupt_later() -> Iterator[None]:
    """Hold an interrupt back until the block is left; processes started inside never see it.

    A terminal sends Ctrl-C to the children too. Deciding what becomes of them is their parent's. They inherit the
    signal mask; for this process it is not enough, since a thread that was started before may take the signal.
    """
    with interrupt_calls(lambda: None):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
