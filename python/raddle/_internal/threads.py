"""`Thread` and `Timer`: the stdlib's, whose ends take part in the search for deadlocks."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from raddle import _raddle

_StdlibThread = threading.Thread
_is_finalizing = sys.is_finalizing


class Thread(threading.Thread):
    """A thread of control: the stdlib's `threading.Thread` in all but `join`.

    `join` raises `DeadlockError` when the thread waits, directly or through others, for the one that joins it.

    The main thread, and threads that other code starts with the stdlib's class, are instances of that class only.
    """

    # Made in the thread itself, at its beginning. None before that, and for a subclass that has begun otherwise.
    _raddle_end: _raddle.ThreadEnd | None = None

    def _bootstrap(self) -> None:
        end = self._raddle_end = _raddle.ThreadEnd()
        try:
            super()._bootstrap()  # type: ignore[misc]
        finally:
            end.open()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended.

        Args:
            timeout: seconds to wait at most; None for ever. Whether the thread has ended then, `is_alive()` tells.

        Raises:
            DeadlockError: the thread waits for the calling one.
            RuntimeError: it is the calling thread, or has not been started.
        """
        end = self._raddle_end
        ours = (
            end is not None
            # It has not been started before this is set, whatever it has done so far.
            and self._started.is_set()  # type: ignore[attr-defined]
            and self is not threading.current_thread()
            # At the interpreter's end the stdlib knows best what a timed join does in this version.
            and (timeout is None or (0 < timeout <= threading.TIMEOUT_MAX and not _is_finalizing()))
        )
        if ours:
            assert end is not None
            deadline = None if timeout is None else time.monotonic() + timeout
            if not end.wait(self, timeout):
                return
            if deadline is not None:
                timeout = max(deadline - time.monotonic(), 0)
        # For all that is left of it: what the interpreter itself does at a thread's end.
        super().join(timeout)

    def _opened_if_left_behind(self, alive: bool) -> None:
        if not alive and self._raddle_end is not None:
            self._raddle_end.open()

    # What the stdlib calls for each thread in a forked child: up to CPython 3.12 the first one, then the second.

    # For a thread that it did not make, it calls the second one on `Thread`, by name. Where this class has taken the
    # stdlib's place, the thread is then no instance of it.

    def _reset_internal_locks(self, is_alive: bool) -> None:
        super()._reset_internal_locks(is_alive)  # type: ignore[misc]
        self._opened_if_left_behind(is_alive)

    def _after_fork(self, new_ident: int | None = None) -> None:
        _StdlibThread._after_fork(self, new_ident)  # type: ignore[attr-defined]
        if isinstance(self, Thread):
            self._opened_if_left_behind(new_ident is not None)


class Timer(Thread, threading.Timer):
    """A thread that calls a function after some seconds, unless it is cancelled before: `threading.Timer`."""

    def __init__(
        self,
        interval: float,
        function: Callable[..., object],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a timer that has not been started.

        Args:
            interval: seconds from its start to the call.
            function: what to call.
            args: its arguments.
            kwargs: its keyword arguments.
        """
        Thread.__init__(self)
        self.interval = interval
        self.function = function
        self.args = [] if args is None else args
        self.kwargs = {} if kwargs is None else kwargs
        self.finished: Any = _raddle.Event()

    def cancel(self) -> None:
        """Prevent the call if it has not begun."""
        self.finished.set()

    def run(self) -> None:
        """Wait, and call."""
        if not self.finished.wait(self.interval):
            self.function(*self.args, **self.kwargs)
        self.finished.set()


for _class in (Thread, Timer):
    _class.__module__ = "raddle.threading"
