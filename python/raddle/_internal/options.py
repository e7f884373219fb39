"""An executor's `options`: a view of it whose tasks have a timeout, retries, a priority and more."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from concurrent.futures import Future as StdlibFuture
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeGuard, TypeVar, overload

from raddle import _raddle
from raddle._internal.future import Future
from raddle._internal.mapping import MapArguments, MapResults, start_map

if TYPE_CHECKING:
    from raddle._internal.executor import ThreadPoolExecutor
    from raddle._internal.processes.executor import ProcessPoolExecutor
    from raddle._internal.processes.handles import Handle

P = ParamSpec("P")
T = TypeVar("T")


class TaskView:
    """An executor seen through options; made by `options` of `ThreadPoolExecutor` and `ProcessPoolExecutor`.

    Safe across threads, and of use in a forked child as the executor is.

        >>> from raddle.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor() as pool:
        ...     patient = pool.options(retries=2, timeout=5)
        ...     patient.submit(pow, 2, 10).result()
        ...     list(patient.map(abs, [-1, -2]))
        1024
        [1, 2]
    """

    def __init__(
        self,
        executor: ThreadPoolExecutor | ProcessPoolExecutor | Handle,
        native: _raddle.TaskOptions,
        *,
        plain: bool,
        priority: int,
    ) -> None:
        """Look at `executor` through `native` options; `plain` ones change nothing but the priority."""
        self._executor = executor
        self._native = native
        self._plain = plain
        self._priority = priority

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Schedule `fn(*args, **kwargs)` with the view's options.

        Returns:
            Its future.

        Raises:
            RuntimeError: the executor is shut down.
            BrokenExecutor: an initializer failed, or no worker can be started.
            ExecutorFull: `max_pending` tasks wait, and the executor raises when it is full.
        """
        return self._executor._submit_with(self._native, fn, args, kwargs)

    @overload
    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: Literal[False] = False,
    ) -> MapResults[T]: ...

    @overload
    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: bool,
    ) -> MapResults[T | BaseException]: ...

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: bool = False,
    ) -> MapResults[Any]:
        """Like the executor's `map`, each item being a task with the view's options.

        With `timeout`, `retries`, `name` or `after`, each item is a task of its own, and `chunksize` means nothing.

        Raises:
            ExecutorFull: from the iterator, when the executor raises where it is full, others fill it, and no item of
                this map is left to wait for; the next call tries again.
            Exception: as the executor's `map`.
        """
        arguments = MapArguments(
            fn, iterables, timeout, chunksize, buffersize, ordered, progress, return_exceptions
        )
        if self._plain:
            return start_map(self._executor, arguments, priority=self._priority)
        # Native through and through: an interrupt comes before an item is submitted or after, not in between.
        submit = functools.partial(self._executor._submit_with, self._native)
        return start_map(self._executor, arguments, submit=submit)


def make_view(
    executor: ThreadPoolExecutor | ProcessPoolExecutor | Handle,
    *,
    timeout: float | None,
    retries: object,
    retry_on: type[BaseException] | Iterable[type[BaseException]],
    backoff: float | Callable[[int], float] | None,
    priority: object,
    name: object,
    after: Iterable[StdlibFuture[Any]],
) -> TaskView:
    """Check the options, which the `options` of both executors document, and make the view."""
    if timeout is not None:
        timeout = _seconds("timeout", timeout)
        if not timeout > 0:
            raise ValueError(f"timeout must be a positive number of seconds or None, not {timeout!r}")
    if not _is_whole(retries, 0, 2**32 - 1):
        raise ValueError(f"retries must be a whole number from 0 on, not {retries!r}")
    if not _is_whole(priority, -(2**31), 2**31 - 2):
        raise ValueError(f"priority must be a whole number from -2**31 to 2**31 - 2, not {priority!r}")
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a string or None, not {type(name).__name__}")
    kinds = (retry_on,) if isinstance(retry_on, type) else _all("retry_on", retry_on)
    for kind in kinds:
        if not _is_exception_class(kind):
            raise TypeError(f"retry_on takes exception classes, not {kind!r}")
    schedule = None
    pause = 0.0
    if callable(backoff):
        schedule = backoff
    elif backoff is not None:
        pause = _seconds("backoff", backoff)
        if not 0 <= pause < math.inf:
            raise ValueError(f"backoff must be seconds from 0 on, or a callable, not {backoff!r}")
    after = (after,) if isinstance(after, StdlibFuture) else _all("after", after)
    plain = timeout is None and retries == 0 and name is None and not after
    native = _raddle.TaskOptions(timeout, retries, kinds, pause, schedule, priority, name, after)
    return TaskView(executor, native, plain=plain, priority=priority)


def _is_exception_class(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _is_whole(number: object, least: int, most: int) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most


def _seconds(option: str, number: float) -> float:
    if isinstance(number, (bool, str, bytes)):
        raise TypeError(f"{option} must be seconds, not {number!r}")
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _all(option: str, items: Iterable[T]) -> tuple[T, ...]:
    try:
        iterator = iter(items)
    except TypeError:
        raise TypeError(f"{option} must be an iterable, not {type(items).__name__}") from None
    return tuple(iterator)


TaskView.__module__ = "raddle.futures"
