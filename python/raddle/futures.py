"""Everything that `concurrent.futures` exports, on Raddle's threads and worker processes.

`from raddle.futures import ThreadPoolExecutor` in place of `from concurrent.futures import ThreadPoolExecutor` is the
whole migration. `InterpreterPoolExecutor`, where the interpreter has it, is the stdlib's own.
"""

import concurrent.futures as _stdlib
import sys
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    BrokenExecutor,
    CancelledError,
    Executor,
    InvalidStateError,
    TimeoutError,
)
from typing import TYPE_CHECKING

from raddle._internal.executor import ThreadPoolExecutor
from raddle._internal.future import Future
from raddle._internal.options import TaskView
from raddle._internal.stats import ExecutorStats
from raddle._internal.waiting import as_completed, wait

if TYPE_CHECKING:
    from raddle._internal.processes.executor import ProcessPoolExecutor

    if sys.version_info >= (3, 14):
        from concurrent.futures import InterpreterPoolExecutor

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "BrokenExecutor",
    "CancelledError",
    "Executor",
    "ExecutorStats",
    "Future",
    "InvalidStateError",
    "ProcessPoolExecutor",
    "TaskView",
    "ThreadPoolExecutor",
    "TimeoutError",
    "as_completed",
    "wait",
]
if TYPE_CHECKING:
    # A __getattr__ would make every name exist, typing errors included.
    if sys.version_info >= (3, 14):
        __all__ += ["InterpreterPoolExecutor"]
else:
    _LAZY = [name for name in _stdlib.__all__ if name not in globals()]
    __all__ += [name for name in _LAZY if name not in __all__]

    def __getattr__(name: str) -> object:
        """Import the other executors when they are asked for, as the stdlib does."""
        if name == "ProcessPoolExecutor":
            from raddle._internal.processes.executor import ProcessPoolExecutor

            globals()[name] = ProcessPoolExecutor
            return ProcessPoolExecutor
        if name in _LAZY:
            value = getattr(_stdlib, name)
            globals()[name] = value
            return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
