"""The errors that tell of worker processes: what breaks the stdlib's pool, and costs one task of Raddle's."""

from __future__ import annotations

import signal
from concurrent.futures.process import BrokenProcessPool
from typing import Any


class WorkerDied(BrokenProcessPool):
    """A worker process ended while it ran the task; the other tasks of its executor go on.

    `BrokenProcessPool`, so that code written for the stdlib's executor catches it.

        >>> import os, raddle
        >>> with raddle.ProcessPoolExecutor(max_workers=1) as pool:
        ...     future = pool.submit(os._exit, 3)
        ...     error = future.exception()
        ...     after = pool.submit(abs, -1).result()
        >>> error.exit_code, error.signal, after
        (3, None, 1)
    """

    exit_code: int | None
    """What it gave as its exit code; None when a signal ended it, or that is not known."""

    signal: str | None
    """The name of the signal that ended it, or None."""

    oom: bool | None
    """Whether the system killed it for want of memory; None where that can't be told."""

    pid: int | None
    """Its process."""

    def __init__(
        self,
        message: str = "",
        exit_code: int | None = None,
        signal_number: int | None = None,
        oom: bool | None = None,
        pid: int | None = None,
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.signal = None if signal_number is None else _signal_name(signal_number)
        self.oom = oom
        self.pid = pid

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),), vars(self)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class NotDeserializable(BrokenProcessPool):
    """An argument, a function or a result was pickled, and could not be unpickled where it was sent to.

    What unpickling raised is its `__cause__`. A call whose arguments do not arrive is not made; the executor goes on.
    `BrokenProcessPool`, so that code written for the stdlib's executor catches it.

        >>> import raddle
        >>> class Picky:
        ...     def __reduce__(self):
        ...         return int, ("seven",)
        >>> with raddle.ProcessPoolExecutor(max_workers=1) as pool:
        ...     error = pool.submit(print, Picky()).exception()
        >>> type(error).__name__, error.__cause__
        ('NotDeserializable', ValueError("invalid literal for int() with base 10: 'seven'"))
    """


for _error in (NotDeserializable, WorkerDied):
    _error.__module__ = "raddle"  # where users find it, which is what tracebacks show and pickles name
