"""`ThreadPoolExecutor`."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future as StdlibFuture
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from raddle import _raddle
from raddle._internal import ending  # noqa: F401  (sees to the end of the interpreter)
from raddle._internal.counts import check_count
from raddle._internal.future import Future
from raddle._internal.interruption import is_interruption
from raddle._internal.mapping import MapArguments, MapResults, start_map
from raddle._internal.native_threads import capping
from raddle._internal.options import TaskView, make_view
from raddle._internal.stats import ExecutorStats
from raddle._internal.workers import Workers

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

_numbers = itertools.count()


def _default_workers() -> int:
    """As many as the stdlib takes: some more than there are cores, for tasks that wait."""
    process_cpu_count = getattr(os, "process_cpu_count", os.cpu_count)
    return min(32, (process_cpu_count() or 1) + 4)


class ThreadPoolExecutor(_raddle.ThreadPool, concurrent.futures.ThreadPoolExecutor):
    """Runs tasks on threads: the stdlib's interface, and what it can't do.

    Timeouts, retries, priorities and dependencies (`options`), bounded submission (`max_pending`), tasks that wait for
    tasks of the same pool without a deadlock, context variables, `resize`, `stats`, and futures that can be awaited.

    Safe across threads. In a forked child it starts afresh with no tasks; futures of the parent fail there with
    `ForkError`.

        >>> from raddle.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor(max_workers=4) as pool:
        ...     pool.submit(pow, 2, exp=10).result()
        ...     list(pool.map(abs, [-1, -2, -3]))
        1024
        [1, 2, 3]
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_pending: int | None = None,
        on_full: Literal["block", "raise"] = "block",
        native_threads: int | None = None,
    ) -> None:
        """Make an executor; threads start when they are needed.

        Args:
            max_workers: tasks that run at once; None for the number of usable cores plus 4, 32 at most.
            thread_name_prefix: of the threads' names.
            initializer: called in each thread before its first task; when it raises, the executor is broken.
            initargs: its arguments.
            max_pending: tasks that may wait; None for any number.
            on_full: what `submit` does when that many wait: `"block"` until there is room, or `"raise"` ExecutorFull.
            native_threads: threads that BLAS and OpenMP libraries may use for each task, through threadpoolctl, which
                must be installed; None leaves them alone. It reaches the libraries that are loaded when a worker
                starts: import numpy and the like before the first `submit`, not inside a task. OpenMP's limit is the
                worker's own. A BLAS library's is the process's: it holds for as long as the executor's threads live,
                the smallest where several executors set one, and is then put back.

        Raises:
            ValueError: a number below 1, or another `on_full`.
            TypeError: a number that is not whole, or an `initializer` that is not callable.
            ImportError: `native_threads` without threadpoolctl.
        """
        if max_workers is None:
            max_workers = _default_workers()
        check_count("max_workers", max_workers)
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_pending is not None:
            check_count("max_pending", max_pending)
        if on_full not in ("block", "raise"):
            raise ValueError(f"on_full must be 'block' or 'raise', not {on_full!r}")
        surroundings: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext
        if native_threads is not None:
            check_count("native_threads", native_threads)
            surroundings = capping(native_threads)
        self._thread_name_prefix = thread_name_prefix or f"ThreadPoolExecutor-{next(_numbers)}"
        self._max_pending = max_pending
        self._workers = Workers(self._thread_name_prefix, initializer, initargs, surroundings)
        self._open(self._workers, max_workers, max_pending, on_full == "raise")

    def options(
        self,
        *,
        timeout: float | None = None,
        retries: int = 0,
        retry_on: type[BaseException] | Iterable[type[BaseException]] = (Exception,),
        backoff: float | Callable[[int], float] | None = None,
        priority: int = 0,
        name: str | None = None,
        after: Iterable[StdlibFuture[Any]] = (),
    ) -> TaskView:
        """Look at the executor through options that hold for every task submitted through the view.

        Args:
            timeout: seconds from the start of an attempt until its future fails with `TaskTimeout`. The exception is
                also raised in the task at its next bytecode; a task that does not return to Python keeps its thread,
                and another thread takes its place in the pool.
            retries: how often a task that raised is tried again.
            retry_on: exception classes that are worth another attempt. A timeout is, too, where `TaskTimeout`,
                `TimeoutError`, `Exception` or `BaseException` is among them; `OSError`, from which it descends, does
                not mean it.
            backoff: seconds of the first pause before a retry: doubled for each further one, an hour at most, and
                drawn evenly between zero and that (full jitter); or a callable from the number of the retry, from 1,
                to seconds. What that raises ends the task.
            priority: tasks of a higher one start first; equals in the order of submission.
            name: for `Future.name`; None for that of the callable.
            after: futures, Raddle's or the stdlib's, that must be done first. When one fails or is cancelled, the task
                fails with `DependencyFailed`, whose cause is that one's exception.

        Returns:
            A view with `submit` and `map`.

        Raises:
            ValueError, TypeError: an option out of its range.

            >>> from raddle.futures import ThreadPoolExecutor
            >>> with ThreadPoolExecutor() as pool:
            ...     first = pool.submit(pow, 2, 5)
            ...     then = pool.options(after=[first], timeout=10).submit(lambda: first.result() + 1)
            >>> then.result()
            33
        """
        return make_view(
            self,
            timeout=timeout,
            retries=retries,
            retry_on=retry_on,
            backoff=backoff,
            priority=priority,
            name=name,
            after=after,
        )

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
        """Call `fn` with the items of the iterables, several at once.

        Args:
            fn: takes as many arguments as there are iterables.
            iterables: read in the calling thread: all of it now, or with `buffersize` only that far ahead.
            timeout: seconds from this call until the last result must be there; None for ever.
            chunksize: items that a worker takes before other tasks get their turn; None: as many as fit in 2 ms.
            buffersize: how many items are read ahead of the results taken, never one more; None: all of them, or
                `max_pending` where the executor has one.
            ordered: results in the order of the items, or else as they come.
            progress: draw a bar (tqdm where installed, else rich).
            return_exceptions: yield what an item raised in place of its result, instead of raising it.

        Returns:
            An iterator over the results. `close()` cancels the items that have not begun, and so does dropping it once
            a result was asked for. Whoever never asks for one wants the calls themselves: they are all made.

        Raises:
            ValueError, TypeError: an argument out of its range.
            ImportError: `progress` without tqdm and rich; no call is made.
            RuntimeError: the executor is shut down.
            TimeoutError: from the iterator, when `timeout` is over.
            Exception: from the iterator, what an item raised; or from this call, what an iterable raised.

            >>> from raddle.futures import ThreadPoolExecutor
            >>> with ThreadPoolExecutor() as pool:
            ...     list(pool.map(pow, [2, 3, 4], [5, 2, 1]))
            ...     list(pool.map(int, ["1", "x"], return_exceptions=True))
            [32, 9, 4]
            [1, ValueError("invalid literal for int() with base 10: 'x'")]
        """
        arguments = MapArguments(
            fn, iterables, timeout, chunksize, buffersize, ordered, progress, return_exceptions
        )
        if type(self).submit is not ThreadPoolExecutor.submit:
            # A subclass that traces or counts its tasks is to see each item, as with the stdlib's map.
            submit = self.submit
            return start_map(self, arguments, submit=lambda fn, args, kwargs: submit(fn, *args, **kwargs))
        return start_map(self, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a handle: what a task in a worker process submits to it runs here."""
        from raddle._internal.processes import handles

        return handles.reduce(self)

    def resize(self, max_workers: int) -> None:
        """Change how many tasks may run at once, also while tasks run and wait.

        Args:
            max_workers: the new number. When it is smaller, surplus threads end after the task that they run.

        Raises:
            ValueError: a number below 1.
            TypeError: a number that is not whole.

            >>> from raddle.futures import ThreadPoolExecutor
            >>> with ThreadPoolExecutor(max_workers=1) as pool:
            ...     pool.resize(4)
            ...     sorted(pool.map(abs, [-1, -2]))
            [1, 2]
        """
        check_count("max_workers", max_workers)
        self._resize(max_workers)

    def stats(self) -> ExecutorStats:
        """Tell how the executor is doing.

        Returns:
            A snapshot, cheap enough to take many times a second.

            >>> from raddle.futures import ThreadPoolExecutor
            >>> with ThreadPoolExecutor() as pool:
            ...     future = pool.submit(pow, 2, 10)
            >>> pool.stats().completed, pool.stats().queued
            (1, 0)
        """
        return ExecutorStats(**self._stats())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further tasks.

        Args:
            wait: return when every task is done and its thread has ended. Tasks that were given up at their timeout are
                not waited for.
            cancel_futures: cancel the tasks that have not begun, those that wait for a dependency or a retry included.

        Raises:
            RuntimeError: a task of the executor itself waits for its end.

            >>> from raddle.futures import ThreadPoolExecutor
            >>> pool = ThreadPoolExecutor()
            >>> future = pool.submit(pow, 2, 10)
            >>> pool.shutdown()
            >>> future.done()
            True
        """
        self._close(cancel_futures)
        if wait:
            self._wait_ended()
            self._workers.join()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        """Shut down and wait; on Ctrl-C, or in a coroutine that is cancelled, cancel the rest and wait for nothing."""
        if is_interruption(kind):
            self.shutdown(wait=False, cancel_futures=True)
            return False
        try:
            self.shutdown(wait=True)
        except KeyboardInterrupt:
            self.shutdown(wait=False, cancel_futures=True)
            raise
        return False

    async def __aenter__(self) -> Self:
        """Enter; nothing is waited for."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut down and wait without blocking the loop; when the body was interrupted or cancelled, cancel the rest."""
        interrupted = kind is not None and not issubclass(kind, Exception)
        self._close(interrupted)
        if interrupted:
            return
        ended: Future[None] = Future()
        threading.Thread(target=self._report_end, args=(ended,), name="raddle-shutdown", daemon=True).start()
        try:
            await ended
        except BaseException:
            self._close(True)
            raise

    def _report_end(self, ended: Future[None]) -> None:
        # Whoever awaited the end may have been cancelled meanwhile.
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            try:
                self._wait_ended()
                self._workers.join()
            except BaseException as error:
                ended.set_exception(error)
            else:
                ended.set_result(None)

    @property
    def _threads(self) -> set[threading.Thread]:  # type: ignore[override]  # the stdlib assigns it; this is a view
        return set(self._workers.seats)

    @property
    def _work_queue(self) -> _WorkQueue:  # type: ignore[override]  # for programs that watch its length
        return _WorkQueue(self)


class _WorkQueue:
    """What watchers of the stdlib's `_work_queue` ask for."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor

    def qsize(self) -> int:
        return self._executor.stats().queued

    def empty(self) -> bool:
        return self.qsize() == 0


ThreadPoolExecutor.__module__ = "raddle.futures"
