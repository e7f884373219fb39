"""`map`: on the native path where items need no options of their own, and over futures where they do."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, TimeoutError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from raddle._internal.errors import ExecutorFull
from raddle._internal.future import Future
from raddle._internal.progress import with_progress

if TYPE_CHECKING:
    from raddle._internal.executor import ThreadPoolExecutor

T_co = TypeVar("T_co", covariant=True)


class MapResults(Iterator[T_co], Protocol[T_co]):
    """What `map` returns: an iterator over the results that can be closed."""

    def close(self) -> None:
        """Cancel the items that have not begun, and drop the results that nobody took."""


@dataclass(frozen=True)
class MapArguments:
    """The arguments of a call of `map`, checked.

    Raises:
        TypeError: `chunksize` or `buffersize` is no integer, or `timeout` nothing like a number.
        ValueError: `chunksize` or `buffersize` is below 1, or `timeout` is no number.
    """

    fn: Callable[..., Any]
    iterables: tuple[Iterable[Any], ...]
    timeout: float | None
    chunksize: int | None
    buffersize: int | None
    ordered: bool
    progress: bool
    return_exceptions: bool

    def __post_init__(self) -> None:
        """Check them, in the stdlib's words where it has some."""
        if self.buffersize is not None:
            if not _is_integer(self.buffersize):
                raise TypeError("buffersize must be an integer or None")
            if self.buffersize < 1:
                raise ValueError("buffersize must be None or > 0")
        if self.chunksize is not None:
            if not _is_integer(self.chunksize):
                raise TypeError("chunksize must be an integer or None")
            if self.chunksize < 1:
                raise ValueError("chunksize must be >= 1.")
        if self.timeout is not None and math.isnan(self.timeout):
            raise ValueError("a timeout must be a number of seconds, not nan")

    @property
    def total(self) -> int | None:
        """How many items there will be, where the inputs tell."""
        try:
            return min(len(iterable) for iterable in self.iterables)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None

    def run(self, start: Callable[[], MapResults[Any]]) -> MapResults[Any]:
        """Start the map, with a bar where one is wanted."""
        return with_progress(start, self.total) if self.progress else start()


def _is_integer(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def map_native(executor: ThreadPoolExecutor, arguments: MapArguments, priority: int = 0) -> MapResults[Any]:
    """Run a map in turns: no future per item."""
    spread = len(arguments.iterables) != 1
    items = zip(*arguments.iterables) if spread else iter(arguments.iterables[0])  # noqa: B905

    def start() -> MapResults[Any]:
        return executor._map(
            arguments.fn,
            items,
            spread=spread,
            timeout=arguments.timeout,
            turn=arguments.chunksize,
            buffersize=arguments.buffersize,
            ordered=arguments.ordered,
            return_exceptions=arguments.return_exceptions,
            priority=priority,
        )

    return arguments.run(start)


def map_futures(
    executor: ThreadPoolExecutor, submit: Callable[..., Future[Any]], arguments: MapArguments
) -> MapResults[Any]:
    """Run a map whose items are tasks of their own: a future per item."""
    deadline = None if arguments.timeout is None else time.monotonic() + arguments.timeout
    ahead = arguments.buffersize if arguments.buffersize is not None else executor._max_pending
    return arguments.run(lambda: _Results(submit, arguments, ahead, deadline))


class _Line:
    """Futures in the order in which their results are taken. Knows nobody else, so that futures may know it."""

    def __init__(self, futures: Iterable[Future[Any]] = ()) -> None:
        self._futures = deque(futures)
        self._bells: deque[Future[None]] = deque()

    def add(self, future: Future[Any]) -> None:
        self._futures.append(future)
        # Whoever waits looks again; several threads may ring at once.
        with contextlib.suppress(IndexError):
            while self._bells:
                self._bells.pop().set_result(None)

    def take(self, deadline: float | None) -> Future[Any]:
        """Take the first one out, once there is one."""
        while True:
            try:
                return self._futures.popleft()
            except IndexError:
                bell: Future[None] = Future()
            self._bells.append(bell)
            if not self._futures:
                bell.result(_left(deadline))

    def put_back(self, future: Future[Any]) -> None:
        self._futures.appendleft(future)


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - time.monotonic()


def _without_first_frame(error: BaseException) -> BaseException:
    """Cut off the frame that caught it: whoever keeps the error must not keep what that frame knows."""
    trace = error.__traceback__
    return error.with_traceback(None if trace is None else trace.tb_next)


class _Results:
    """The iterator over futures. Not a generator, which an interrupted `next` would end for good.

    Several threads may share it: each claims one of the futures in the line before it waits.
    """

    def __init__(
        self,
        submit: Callable[..., Future[Any]],
        arguments: MapArguments,
        ahead: int | None,
        deadline: float | None,
    ) -> None:
        self._pending: set[Future[Any]] = set()
        self._line = _Line()
        self._unclaimed = threading.Semaphore(0)
        self._reading = threading.Lock()
        self._begun = False
        self._submit = submit
        self._function = arguments.fn
        self._return_exceptions = arguments.return_exceptions
        self._ordered = arguments.ordered
        self._ahead = ahead
        self._deadline = deadline
        self._items: Iterator[tuple[Any, ...]] = zip(*arguments.iterables)  # noqa: B905
        self._unsubmitted: tuple[Any, ...] | None = None
        self._error: BaseException | None = None
        self._process = os.getpid()
        try:
            self._read()
            if ahead is None and self._error is not None:
                # Everything has been read: the caller sees now what the input raised.
                raise self._error
        except BaseException:
            self.close()
            raise

    def _read(self, *, insist: bool = False) -> None:
        """Submit what may be read ahead. Another thread that is at it already does it for both.

        Args:
            insist: a full executor is an error; otherwise, there is room again when a pending item has ended.
        """
        if not self._reading.acquire(blocking=False):
            return
        try:
            while self._error is None and (self._ahead is None or len(self._pending) < self._ahead):
                if self._unsubmitted is None:
                    self._unsubmitted = next(self._items, None)
                if self._unsubmitted is None:
                    break
                try:
                    future = self._submit(self._function, *self._unsubmitted)
                except ExecutorFull:
                    if insist:
                        raise
                    break
                self._unsubmitted = None
                self._pending.add(future)
                self._unclaimed.release()
                if self._ordered:
                    self._line.add(future)
                else:
                    future.add_done_callback(self._line.add)
                insist = False
        except Exception as error:
            # It comes up after the results of the items before it.
            self._error = _without_first_frame(error)
        finally:
            self._reading.release()

    def __iter__(self) -> _Results:
        return self

    def __next__(self) -> Any:
        self._begun = True
        if self._process != os.getpid():
            self._go_on_in_child()
        if not self._unclaimed.acquire(blocking=False):
            self._read(insist=not self._pending)
            if not self._unclaimed.acquire(blocking=False):
                self._end()
        line, future = self._line, None
        # What a signal handler raises while this waits leaves everything as it is: the next call goes on.
        try:
            future = line.take(self._deadline)
            raised = future.exception(_left(self._deadline))
            if raised is None or self._return_exceptions:
                self._pending.discard(future)
                self._read()
                return future.result() if raised is None else raised
        except (TimeoutError, CancelledError):
            self.close()
            raise
        except BaseException:
            if line is self._line:
                if future is not None:
                    self._pending.add(future)
                    line.put_back(future)
                self._unclaimed.release()
            raise
        self.close()
        try:
            raise raised
        finally:
            del raised, future

    def _end(self) -> NoReturn:
        error, self._error = self._error, None
        try:
            raise StopIteration if error is None else error
        finally:
            del error

    def _go_on_in_child(self) -> None:
        """Forget the parent's locks. No end of a task is ever told here: every future is done, with ForkError."""
        self._process = os.getpid()
        self._reading = threading.Lock()
        self._unclaimed = threading.Semaphore(len(self._pending))
        self._line = _Line(self._pending)

    def close(self) -> None:
        """End the iteration: items that have not begun are cancelled."""
        pending, self._pending = self._pending, set()
        self._unclaimed = threading.Semaphore(0)
        self._line = _Line()
        self._items = iter(())
        self._unsubmitted = self._error = None
        for future in pending:
            future.cancel()

    def __del__(self) -> None:
        # Whoever never asked for a result wants the calls themselves, as with the stdlib's map.
        if self._begun:
            self.close()
