"""Raddle: one concurrency runtime for Python, written in Rust.

| where | what |
|---|---|
| `raddle.futures` | everything that `concurrent.futures` exports, on Raddle's threads |
| `raddle` | of these, what threads and futures need, and the errors that Raddle adds |
"""

from raddle._internal import __version__
from raddle._internal.errors import DependencyFailed, ExecutorFull, ForkError, TaskTimeout
from raddle.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    BrokenExecutor,
    CancelledError,
    Executor,
    ExecutorStats,
    Future,
    InvalidStateError,
    ThreadPoolExecutor,
    TimeoutError,
    as_completed,
    wait,
)

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "BrokenExecutor",
    "CancelledError",
    "DependencyFailed",
    "Executor",
    "ExecutorFull",
    "ExecutorStats",
    "ForkError",
    "Future",
    "InvalidStateError",
    "TaskTimeout",
    "ThreadPoolExecutor",
    "TimeoutError",
    "__version__",
    "as_completed",
    "wait",
]
