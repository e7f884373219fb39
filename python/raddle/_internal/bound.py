"""Hands the classes that are defined in Python to the native half, once, when Raddle is imported."""

from __future__ import annotations

import asyncio
import builtins
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, InvalidStateError, TimeoutError, _base
from concurrent.futures import Future as StdlibFuture
from concurrent.futures.thread import BrokenThreadPool
from threading import BrokenBarrierError
from typing import Any

from raddle import _raddle
from raddle._internal.async_waits import enter_async, ring, wait_async, wait_notified, wait_until
from raddle._internal.deadlocks import report_deadlock
from raddle._internal.errors import DependencyFailed, ExecutorFull, ForkError, TaskTimeout
from raddle._internal.future import Future
from raddle._internal.lost_wakeups import tell_of_lost_wakeups

LOGGER = _base.LOGGER
running_loop = asyncio._get_running_loop

__all__ = [
    "LOGGER",
    "BrokenBarrierError",
    "BrokenThreadPool",
    "CancelledError",
    "DependencyFailed",
    "ExecutorFull",
    "FinalizationError",
    "ForkError",
    "Future",
    "InvalidStateError",
    "StdlibFuture",
    "TaskTimeout",
    "TimeoutError",
    "checkpoint",
    "current_task",
    "describe_stack",
    "enter_async",
    "log_callback_error",
    "report_deadlock",
    "ring",
    "running_loop",
    "task_in_step",
    "tell_of_lost_wakeups",
    "threads_are_starting",
    "wait_async",
    "wait_notified",
    "wait_until",
]


def threads_are_starting() -> bool:
    """Tell whether an exception sent to a thread could hit one that it is starting: a flaw of CPython up to 3.11."""
    return sys.version_info < (3, 12) and bool(threading._limbo)  # type: ignore[attr-defined]


FinalizationError: type[RuntimeError] = getattr(builtins, "PythonFinalizationError", RuntimeError)
"""What an untimed wait raises while the interpreter is finalized, when no other thread can end it."""


def checkpoint() -> None:
    """Do nothing, in Python: here the interpreter raises the exceptions that were sent to the calling thread."""


def log_callback_error(future: Future[Any], error: BaseException) -> None:
    """Log what a done callback raised, in the stdlib's words and to its logger."""
    LOGGER.error("exception calling callback for %r", future, exc_info=error)


def describe_stack(thread_id: int) -> str:
    """Tell where a thread stands.

    Args:
        thread_id: its `threading.get_ident()`.

    Returns:
        `; it was at FILE:LINE in FUNCTION`, the innermost Python frame; or that it was in native code that the task
        called at once; or nothing for a thread without a frame.
    """
    frame = _raddle.current_frames().get(thread_id)
    if frame is None:
        return ""
    if frame.f_globals.get("__name__") == "raddle._internal.workers":
        return "; it was in native code"
    place = traceback.extract_stack(frame, limit=1)[0]
    return f"; it was at {place.filename}:{place.lineno} in {place.name}"


if sys.version_info >= (3, 12):

    def current_task() -> asyncio.Task[Any] | None:
        """Return the asyncio task that the calling thread runs, if any."""
        return None if asyncio._get_running_loop() is None else asyncio.current_task()

    task_in_step: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None] = asyncio.current_task

else:
    # What asyncio.current_task() looks into; it is written in C from 3.12 on only.
    _TASKS: dict[asyncio.AbstractEventLoop | None, asyncio.Task[Any]] = asyncio.tasks._current_tasks  # type: ignore[attr-defined]

    def current_task() -> asyncio.Task[Any] | None:
        """Return the asyncio task that the calling thread runs, if any."""
        return _TASKS.get(asyncio._get_running_loop())

    task_in_step: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None] = _TASKS.get


_raddle.bind(sys.modules[__name__])
