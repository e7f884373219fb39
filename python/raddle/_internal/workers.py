"""The threads of an executor: real `threading.Thread` objects whose loop is native."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from raddle import _raddle
from raddle._internal.bound import LOGGER

alive: weakref.WeakSet[Workers] = weakref.WeakSet()
"""Those whose threads may still run, for the end of the interpreter."""


class Workers:
    """Makes the threads of one executor, and knows them.

    Does not know the executor, which must be free to go while its last tasks run. The threads are daemons: a task that
    is stuck in C code must not keep the program from ending (`raddle._internal.ending` waits for all others).
    """

    def __init__(
        self,
        prefix: str,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
        surroundings: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """Make none yet.

        Args:
            prefix: of the threads' names.
            initializer: called in each thread before its first task, with `initargs`.
            initargs: its arguments.
            surroundings: makes what each thread enters before that, and leaves when it has worked.
        """
        self.seats: dict[threading.Thread, _raddle.Seat] = {}
        self._prefix = prefix
        self._initializer = initializer
        self._initargs = initargs
        self._surroundings = surroundings
        self._numbers = itertools.count()
        alive.add(self)

    def start(self, seat: _raddle.Seat) -> None:
        """Start a thread that works at `seat`.

        Raises:
            RuntimeError: the system refuses to start one.
        """
        name = f"{self._prefix}_{next(self._numbers)}"
        thread = threading.Thread(target=self._work, args=(seat,), name=name, daemon=True)
        try:
            thread.start()
        finally:
            # Not before: others may join what they find here. An interrupt may come after the thread has begun.
            if thread.is_alive():
                self.seats[thread] = seat

    def _work(self, seat: _raddle.Seat) -> None:
        thread = threading.current_thread()
        process = os.getpid()
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._surroundings())
                if self._initializer is not None:
                    self._initializer(*self._initargs)
            except BaseException:
                LOGGER.critical("Exception in initializer:", exc_info=True)
                seat.give_up()
                return
            if seat.work(thread.name, threading.get_ident()):
                self.seats.pop(thread, None)
            if os.getpid() != process:
                _leave_child()

    def join(self) -> None:
        """Wait for the threads whose workers have left; those with a task that was given up are not waited for."""
        for thread, seat in list(self.seats.items()):
            if seat.left and thread is not threading.current_thread():
                thread.join()


def _leave_child() -> None:
    """End a child process whose parent's task forked and then returned in the child as well.

    Nothing is left for the child to do: the worker thread that it inherited has come to its end. Without this, the
    threads that it has started meanwhile would keep it alive for ever.
    """
    try:
        _raddle.finish_pools(False)
        for stream in (sys.stdout, sys.stderr):
            # It may be closed, or None. Nobody is left to be told.
            with contextlib.suppress(Exception):
                stream.flush()
    finally:
        os._exit(0)


def _forget_threads() -> None:
    """Forget, in a forked child, the threads that stayed behind; an executor may go on with new ones."""
    for workers in list(alive):
        workers.seats.clear()


os.register_at_fork(after_in_child=_forget_threads)
