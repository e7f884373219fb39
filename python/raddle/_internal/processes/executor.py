"""`ProcessPoolExecutor`."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import itertools
import math
import os
import threading
import time
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
from raddle._internal.options import TaskView, make_view
from raddle._internal.processes import (
    bound,  # noqa: F401  (hands the native half its classes)
    notes,
    process_view,
    starting,
)
from raddle._internal.processes.native_threads import native_variables
from raddle._internal.stats import ExecutorStats

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    from typing_extensions import Self

T = TypeVar("T")
Start = Literal["zygote", "spawn", "fork"]

_numbers = itertools.count()


def _default_workers() -> int:
    count = getattr(os, "process_cpu_count", None) or (lambda: len(os.sched_getaffinity(0)))
    return count() or 1


class ProcessPoolExecutor(_raddle.ProcessPool, concurrent.futures.ProcessPoolExecutor):
    """Runs tasks in worker processes: the stdlib's interface, and what it can't do.

    A worker that dies costs the task that it ran, whose future fails with `WorkerDied`; the pool goes on with another
    worker. Functions and classes of `__main__`, lambdas and closures work, and scripts need no
    `if __name__ == "__main__"`. Large arrays and byte strings go through shared memory and are copied once.

    A function is pickled when it is submitted for the first time, and again when what it captures (closures, and
    globals of functions sent by value) has been bound to something else. So a task sees what these were bound to when
    it was submitted, or what functions submitted later have brought. A change inside an object is seen when a function
    that is new uses it; what the initializer binds is the worker's own.

    Safe across threads. In a forked child it starts afresh with no tasks; futures of the parent fail there with
    `ForkError`.

        >>> from raddle.futures import ProcessPoolExecutor
        >>> with ProcessPoolExecutor(max_workers=2) as pool:
        ...     pool.submit(pow, 2, exp=10).result()
        ...     list(pool.map(abs, [-1, -2, -3]))
        1024
        [1, 2, 3]
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        max_pending: int | None = None,
        on_full: Literal["block", "raise"] = "block",
        start: Start | None = None,
        preload: Iterable[str] = (),
        native_threads: int | Literal["auto"] | None = "auto",
        max_memory_per_child: int | None = None,
        memory_limit: int | None = None,
        kill_grace: float = 0.5,
        arena_limit: int | None = None,
        forward_logging: bool = True,
    ) -> None:
        """Make an executor; workers start when they are needed.

        Args:
            max_workers: tasks that run at once; None for the number of usable cores.
            mp_context: one of multiprocessing's contexts, whose start method is taken where `start` is None: `"fork"`,
                `"spawn"`, or `"forkserver"` for a zygote.
            initializer: called in each worker before its first task; when it raises, the executor is broken.
            initargs: its arguments.
            max_tasks_per_child: tasks after which a worker is replaced; None for never.
            max_pending: tasks that may wait; None for any number.
            on_full: what `submit` does when that many wait: `"block"` until there is room, or `"raise"` ExecutorFull.
            start: how workers are started. `"zygote"`, the default: forked from a clean process that is started with
                the first worker and kept. `"spawn"`: each a fresh interpreter. `"fork"`: forked from this process as
                it is.
            preload: names of modules that the zygote imports, so that each worker has them.
            native_threads: threads that BLAS and OpenMP libraries may use in each worker; `"auto"`: a fair share of the
                cores, unless the environment says otherwise; None leaves them alone. Where a worker inherits libraries
                that are loaded already (`start="fork"`), this takes threadpoolctl (`raddle[native-threads]`).
            max_memory_per_child: bytes of private memory after which a worker is replaced when its task is done.
            memory_limit: bytes of private memory at which a worker is killed.
            kill_grace: seconds between SIGTERM and SIGKILL for a worker whose task is ended.
            arena_limit: bytes of arguments, and of each worker's results, that may be under way in shared memory;
                `submit` waits when there are more. Arrays that are kept where they have arrived count, and take up to
                half as much again. None: half of the memory that this process may use.
            forward_logging: have this process's loggers handle what workers log, as far as their levels at the start of
                the worker let it through; else the workers' own loggers do.

        Raises:
            ValueError: a number out of its range, or another `on_full` or `start`.
            TypeError: a number that is not whole, or an `initializer` that is not callable.
        """
        if max_workers is None:
            max_workers = _default_workers()
        check_count("max_workers", max_workers)
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        for name, count in {
            "max_pending": max_pending,
            "max_tasks_per_child": max_tasks_per_child,
            "max_memory_per_child": max_memory_per_child,
            "memory_limit": memory_limit,
            "arena_limit": arena_limit,
        }.items():
            if count is not None:
                check_count(name, count)
        if on_full not in ("block", "raise"):
            raise ValueError(f"on_full must be 'block' or 'raise', not {on_full!r}")
        if not 0 <= kill_grace < math.inf:
            raise ValueError(f"kill_grace must be seconds from 0 on, not {kill_grace!r}")
        if native_threads is not None and native_threads != "auto":
            check_count("native_threads", native_threads)
        way = self._way = starting.way(start, mp_context)
        # What programs look up that know the stdlib's executor.
        if mp_context is not None:
            self._mp_context = mp_context
        self._initializer = initializer  # type: ignore[assignment]  # the stdlib's type leaves out results
        self._initargs = initargs
        self._max_tasks_per_child = max_tasks_per_child
        self._process_view = process_view.Processes()
        self._max_pending = max_pending
        variables = native_variables(native_threads, _default_workers(), max_workers)
        self._open(
            name=f"ProcessPoolExecutor-{next(_numbers)}",
            max_workers=max_workers,
            max_pending=max_pending,
            raises_when_full=on_full == "raise",
            launch=starting.launch(way, preload, variables),
            order=starting.Order(
                way, initializer, initargs, variables, max_memory_per_child, forward_logging
            ),
            arena_limit=arena_limit or starting.default_arena_limit(),
            max_tasks_per_child=max_tasks_per_child,
            max_memory_per_child=max_memory_per_child,
            memory_limit=memory_limit,
            kill_grace=kill_grace,
            note=notes.Notes(),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a handle: what a task in a worker process submits to it runs here."""
        from raddle._internal.processes import handles

        return handles.reduce(self)

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
            timeout: seconds from the start of an attempt until it is ended whatever it does: its worker process gets
                SIGTERM, and SIGKILL `kill_grace` seconds later if it is still there. Then the future fails with
                `TaskTimeout`; another worker takes the place of the one that was killed.
            retries: how often a task that raised, or whose worker died, is tried again. Each attempt gets the arguments
                as they were when it was submitted, and a copy of its own of large ones.
            retry_on: exception classes that are worth another attempt. The death of a worker is one where `WorkerDied`
                or a class from which it descends is among them, as `Exception` is; but not when somebody has wanted it,
                through `Future.terminate` or by ending the executor. A timeout is worth one where `TaskTimeout`,
                `TimeoutError`, `Exception` or `BaseException` is among them; `OSError`, from which it descends, does
                not mean it.
            backoff: seconds of the first pause before a retry: doubled for each further one, an hour at most, and
                drawn evenly between zero and that (full jitter); or a callable from the number of the retry, from 1,
                to seconds, called in this process. What that raises ends the task.
            priority: tasks of a higher one start first; equals in the order of submission.
            name: for `Future.name`; None for that of the callable.
            after: futures, Raddle's or the stdlib's, that must be done first. When one fails or is cancelled, the task
                fails with `DependencyFailed`, whose cause is that one's exception. The arguments are sent as they are
                at the submission: a result of those futures can't be among them.

        Returns:
            A view with `submit` and `map`.

        Raises:
            ValueError, TypeError: an option out of its range.

            >>> import os
            >>> import raddle
            >>> def work(path):
            ...     if not os.path.exists(path):
            ...         open(path, "w").close()
            ...         os.abort()
            ...     os.remove(path)
            ...     return "done"
            >>> with raddle.ProcessPoolExecutor(max_workers=1) as pool:
            ...     future = pool.options(retries=1, retry_on=raddle.WorkerDied).submit(work, f".seen-{os.getpid()}")
            ...     late = pool.options(timeout=0.1).submit(exec, "while True: pass")
            >>> future.result(), type(late.exception()).__name__
            ('done', 'TaskTimeout')
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

    def resize(self, max_workers: int) -> None:
        """Change how many workers there are, also while tasks run and wait.

        Args:
            max_workers: the new number. When it is smaller, surplus workers end after the tasks that they have.

        Raises:
            ValueError: a number below 1.
            TypeError: a number that is not whole.

            >>> from raddle.futures import ProcessPoolExecutor
            >>> with ProcessPoolExecutor(max_workers=1) as pool:
            ...     pool.resize(2)
            ...     sorted(pool.map(abs, [-1, -2]))
            [1, 2]
        """
        check_count("max_workers", max_workers)
        self._resize(max_workers)

    def stats(self) -> ExecutorStats:
        """Tell how the executor is doing.

        Returns:
            A snapshot, cheap enough to take many times a second.

            >>> from raddle.futures import ProcessPoolExecutor
            >>> with ProcessPoolExecutor() as pool:
            ...     future = pool.submit(pow, 2, 10)
            >>> pool.stats().completed, pool.stats().queued
            (1, 0)
        """
        return ExecutorStats(**self._stats())

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
            chunksize: items that travel together; None: as many as take about 2 ms, as measured while they run.
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

            >>> from raddle.futures import ProcessPoolExecutor
            >>> with ProcessPoolExecutor() as pool:
            ...     list(pool.map(pow, [2, 3, 4], [5, 2, 1]))
            ...     list(pool.map(int, ["1", "x"], return_exceptions=True))
            [32, 9, 4]
            [1, ValueError("invalid literal for int() with base 10: 'x'")]
        """
        arguments = MapArguments(
            fn, iterables, timeout, chunksize, buffersize, ordered, progress, return_exceptions
        )
        if type(self).submit is not ProcessPoolExecutor.submit:
            # A subclass that traces or counts its tasks is to see each item, as with the stdlib's map.
            submit = self.submit
            return start_map(self, arguments, submit=lambda fn, args, kwargs: submit(fn, *args, **kwargs))
        return start_map(self, arguments)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further tasks.

        Args:
            wait: return when every task is done and its worker has ended.
            cancel_futures: cancel the tasks that have not begun.

            >>> from raddle.futures import ProcessPoolExecutor
            >>> pool = ProcessPoolExecutor()
            >>> future = pool.submit(pow, 2, 10)
            >>> pool.shutdown()
            >>> future.done()
            True
        """
        self._close(cancel_futures)
        if wait:
            self._wait_ended()

    @property
    def _processes(self) -> process_view.Processes:  # type: ignore[override]
        """The workers by process, as programs know it from the stdlib; waits for those that are being started."""
        pids = self._pids()
        patience = time.monotonic() + 5
        while len(pids) < self._stats()["workers"] and time.monotonic() < patience:
            time.sleep(0.005)
            pids = self._pids()
        return self._process_view.refresh(pids)

    @functools.cached_property
    def _mp_context(self) -> BaseContext:  # type: ignore[override]
        return starting.context(self._way)

    @property
    def _executor_manager_thread(self) -> process_view.End:  # type: ignore[override]
        return process_view.End(self._end())

    @property
    def _call_queue(self) -> process_view.Calls:
        return process_view.Calls(self)

    @property
    def _pending_work_items(self) -> process_view.Calls:  # type: ignore[override]
        return process_view.Calls(self)

    def _force_shutdown(self, operation: str) -> None:
        """End the workers by "terminate" or "kill", as the stdlib's method of this name."""
        if operation not in ("terminate", "kill"):
            raise ValueError(f"operation must be 'terminate' or 'kill', not {operation!r}")
        self._kill(operation == "terminate")

    def terminate_workers(self) -> None:
        """End the workers with SIGTERM, and with SIGKILL where that does not help within `kill_grace`.

        What they run is lost (its futures fail with `WorkerDied`), what waits is cancelled, and the executor takes no
        further tasks.
        """
        self._force_shutdown(operation="terminate")

    def kill_workers(self) -> None:
        """End the workers with SIGKILL; otherwise as `terminate_workers`."""
        self._force_shutdown(operation="kill")

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        """Shut down and wait; on Ctrl-C, or in a coroutine that is cancelled, kill what runs instead."""
        if is_interruption(kind):
            self._kill(False)
            return False
        try:
            self.shutdown(wait=True)
        except KeyboardInterrupt:
            self._kill(False)
            raise
        return False

    async def __aenter__(self) -> Self:
        """Enter; nothing is waited for."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut down and wait without blocking the loop; when the body was interrupted or cancelled, kill what runs."""
        if kind is not None and not issubclass(kind, Exception):
            self._kill(False)
            return
        self._close(False)
        ended: Future[None] = Future()
        threading.Thread(target=self._report_end, args=(ended,), name="raddle-shutdown", daemon=True).start()
        try:
            await ended
        except BaseException:
            self._kill(False)
            raise

    def _report_end(self, ended: Future[None]) -> None:
        # Whoever awaited the end may have been cancelled meanwhile.
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            try:
                self._wait_ended()
            except BaseException as error:
                ended.set_exception(error)
            else:
                ended.set_result(None)


ProcessPoolExecutor.__module__ = "raddle.futures"
