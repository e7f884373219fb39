"""The native half of Raddle, as type checkers see it. Private: import from `raddle` instead.

Written by hand. `python -m mypy.stubtest raddle._raddle` holds the signatures to the binary, and
`tests/typing/test_stub.py` the docstrings, which are here for editors. The classes are generic for type checkers only:
when a program runs, they take no `[…]`.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future as StdlibFuture
from types import ModuleType
from typing import Any, Generic, ParamSpec, TypeVar, final

from typing_extensions import Self, disjoint_base

from raddle._internal.future import Future as TaskFuture
from raddle._internal.workers import Workers

_P = ParamSpec("_P")
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_F = TypeVar("_F", bound=StdlibFuture[Any])

__all__ = [
    "AsCompleted",
    "Future",
    "MapIterator",
    "Seat",
    "TaskOptions",
    "ThreadPool",
    "__version__",
    "bind",
    "finish_pools",
    "wait",
]

__version__: str

@disjoint_base
class Future(Generic[_T]):
    def __new__(cls, *_args: object, **_kwargs: object) -> Self: ...
    def cancel(self) -> bool:
        """Cancels the task if it has not begun. Returns whether it is cancelled."""
    def cancelled(self) -> bool:
        """Whether the task was cancelled."""
    def running(self) -> bool:
        """Whether a worker runs the task now."""
    def done(self) -> bool:
        """Whether there is an outcome, or never will be."""
    def result(self, timeout: float | None = None) -> _T:
        """The task's result. Waits up to `timeout` seconds for it (None: for ever), a worker's slot being free meanwhile.

        Raises what the task raised, `CancelledError`, `TimeoutError` after `timeout`, and `ForkError` in a forked child.
        """  # noqa: E501
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The exception that the task raised, or None. Waits like `result`."""
    def add_done_callback(self, fn: Callable[[Self], object]) -> None:
        """Calls `fn(future)` when the future is done: in the thread that ends it, or at once when it is done already.

        What `fn` raises is logged to the logger `concurrent.futures` and goes no further.
        """
    def set_running_or_notify_cancel(self) -> bool:
        """For executors: marks the future as running. Returns False when it was cancelled.

        Raises `RuntimeError` when it runs or is done already.
        """
    def set_result(self, result: _T) -> None:
        """For executors: ends the future with a result. Raises `InvalidStateError` when it is done already."""
    def set_exception(self, exception: BaseException | None) -> None:
        """For executors: ends the future with an exception. Raises `InvalidStateError` when it is done already."""
    @property
    def name(self) -> str | None:
        """The task's name: the one given, or that of its callable; None for a future made by hand."""
    @property
    def start(self) -> float | None:
        """When the task (its last attempt) started, in seconds since 1970 as `time.time()` counts; None before."""
    @property
    def duration(self) -> float | None:
        """How long the task (its last attempt) ran, in seconds; None before its end."""
    @property
    def worker(self) -> str | None:
        """The name of the worker thread that ran the task first; None before."""
    def _add_awaiter(self) -> None: ...
    def _remove_awaiter(self, cancelled: bool) -> None: ...
    def _remove_done_callback(self, callback: Callable[[Self], object]) -> None: ...
    def _get_snapshot(self) -> tuple[bool, bool, _T | None, BaseException | None]: ...
    # The stdlib's private fields, typed as in its own stubs; _condition and _waiters cannot be assigned.
    _condition: threading.Condition
    _waiters: list[Any]
    _state: str
    _result: _T | None
    _exception: BaseException | None

@disjoint_base
class ThreadPool:
    def __new__(cls, *_args: object, **_kwargs: object) -> Self: ...
    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> TaskFuture[_T]:
        """Schedules `fn(*args, **kwargs)` and returns its future.

        Waits while `max_pending` tasks are queued, or raises `ExecutorFull`, as the executor was made.
        Raises `RuntimeError` after shutdown, `BrokenThreadPool` after a failed initializer.
        """
    def _open(
        self, workers: Workers, max_workers: int, max_pending: int | None, raises_when_full: bool
    ) -> None: ...
    def _submit_with(
        self, options: TaskOptions, fn: Callable[..., _T], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> TaskFuture[_T]: ...
    def _map(
        self,
        fn: Callable[..., _T],
        items: Iterator[Any],
        *,
        submit: Callable[[Callable[..., _T], tuple[Any, ...], dict[str, Any]], StdlibFuture[_T]] | None,
        spread: bool,
        timeout: float | None,
        turn: int | None,
        buffersize: int | None,
        ordered: bool,
        return_exceptions: bool,
        priority: int,
    ) -> MapIterator[_T]: ...
    def _resize(self, max_workers: int) -> None: ...
    def _close(self, cancel_futures: bool) -> None: ...
    def _wait_ended(self, timeout: float | None = None) -> bool: ...
    def _stats(self) -> dict[str, int]: ...
    # The stdlib's private fields, typed as in its own stubs, but none can be assigned; _broken is False or a reason.
    _max_workers: int
    _shutdown: bool
    _broken: Any

@final
class TaskOptions:
    def __new__(
        cls,
        timeout: float | None,
        retries: int,
        retry_on: tuple[type[BaseException], ...],
        backoff: float,
        schedule: Callable[[int], float] | None,
        priority: int,
        name: str | None,
        after: tuple[StdlibFuture[Any], ...],
    ) -> Self: ...

@final
class Seat:
    def work(self, name: str, thread_id: int) -> bool: ...
    def give_up(self) -> None: ...
    @property
    def left(self) -> bool: ...

@final
class MapIterator(Generic[_T_co]):
    def __iter__(self) -> Self: ...
    def __next__(self) -> _T_co: ...
    def close(self) -> None: ...
    @property
    def progress(self) -> tuple[int, int]: ...

@final
class AsCompleted(Generic[_F]):
    def __new__(cls, fs: Iterable[_F], timeout: float | None = None) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> _F: ...
    def close(self) -> None: ...

def wait(
    fs: Iterable[_F], timeout: float | None = None, return_when: str = "ALL_COMPLETED"
) -> tuple[set[_F], set[_F]]: ...
def bind(namespace: ModuleType, /) -> None: ...
def finish_pools(cancel: bool) -> None: ...
