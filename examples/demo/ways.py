"""One function over many files: serially, with the stdlib's executors, and with Raddle's.

Every way takes the function, the files and a `tick` that it calls, in the main thread, once per finished file, and
that raises KeyboardInterrupt after Ctrl-C. It returns each file's result under the file's name.
"""

import gc
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from typing import Generic, TypeVar

import raddle

from .corpus import Source
from .interrupt import interrupt_at_checks, interrupt_later

Value = TypeVar("Value")
Pool = TypeVar("Pool", bound=futures.Executor)
Tick = Callable[[], None]
Work = Callable[[Source], Value]

_FILES_PER_MESSAGE = 8
"""How many files go to a worker process at a time; threads need no such number."""


def serial(work: Work[Value], files: Sequence[Source], tick: Tick) -> dict[str, Value]:
    """One file after the other, in the main thread."""
    results = {}
    for file in files:
        results[file.name] = work(file)
        tick()
    return results


def stdlib_threads(work: Work[Value], files: Sequence[Source], tick: Tick, workers: int) -> dict[str, Value]:
    """`concurrent.futures.ThreadPoolExecutor`, results as they come."""
    results = {}
    with interrupt_at_checks(), dropping_queue_on_error(futures.ThreadPoolExecutor(workers)) as pool:
        name_of = {pool.submit(work, file): file.name for file in files}
        for future in futures.as_completed(name_of):
            results[name_of[future]] = future.result()
            tick()
    return results


def raddle_threads(work: Work[Value], files: Sequence[Source], tick: Tick, workers: int) -> dict[str, Value]:
    """`raddle.ThreadPoolExecutor`, results as they come; there is no chunk size to guess."""
    results = {}
    with raddle.ThreadPoolExecutor(workers) as pool:
        for name, value in pool.map(_Named(work), files, ordered=False):
            results[name] = value
            tick()
    return results


def raddle_processes(
    work: Work[Value], files: Sequence[Source], tick: Tick, workers: int
) -> dict[str, Value]:
    """`raddle.ProcessPoolExecutor`, results as they come; the start of its processes counts."""
    results = {}
    with raddle.ProcessPoolExecutor(workers, initializer=settle) as pool:
        for name, value in pool.map(_Named(work), files, ordered=False):
            results[name] = value
            tick()
    return results


def raddle_patient_threads(
    work: Work[Value], files: Sequence[Source], tick: Tick, workers: int, timeout: float
) -> dict[str, Value]:
    """Raddle's threads for work that may stall or fail in passing: a deadline, and retries with growing pauses.

    Args:
        work: What to do; an OSError of its is worth another attempt.
        files: To what.
        tick: Called once per finished file.
        workers: Number of threads.
        timeout: Seconds from a task's start to its `raddle.TaskTimeout`.
    """
    results = {}
    with raddle.ThreadPoolExecutor(workers) as pool:
        patient = pool.options(timeout=timeout, retries=2, retry_on=(OSError,), backoff=0.05)
        name_of = {patient.submit(work, file): file.name for file in files}
        for future in raddle.as_completed(name_of):
            results[name_of[future]] = future.result()
            tick()
    return results


def stdlib_processes(
    work: Work[Value], files: Sequence[Source], tick: Tick, workers: int
) -> dict[str, Value]:
    """`concurrent.futures.ProcessPoolExecutor`; the start of its processes counts."""
    results = {}
    # Starting this helper of multiprocessing unblocks SIGINT, so it is done beforehand.
    with interrupt_later():
        resource_tracker.ensure_running()
    # Spawned, not forked: this process has had threads.
    pool = futures.ProcessPoolExecutor(workers, get_context("spawn"), initializer=settle)
    with interrupt_at_checks(), dropping_queue_on_error(pool):
        with interrupt_later():
            values = pool.map(work, files, chunksize=_FILES_PER_MESSAGE)
        for file, value in zip(files, values, strict=True):
            results[file.name] = value
            tick()
    return results


@contextmanager
def dropping_queue_on_error(pool: Pool) -> Iterator[Pool]:
    """Shut a stdlib executor down at the end of the block; after an exception without working off its queue.

    The stdlib's own ``with`` finishes everything that was submitted first, Ctrl-C or not.
    """
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown(wait=True)


def settle() -> None:
    """Put a process into the state in which its work is timed.

    Syntax warnings of the analysed files are none of ours. The cyclic garbage collector rests, as in `timeit`: its
    pauses would fall on whichever way is running, and the work makes no cycles.
    """
    warnings.simplefilter("ignore", SyntaxWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    gc.disable()


class _Named(Generic[Value]):
    """Work whose result carries the file's name, for results that come in any order."""

    def __init__(self, work: Work[Value]) -> None:
        self._work = work

    def __call__(self, file: Source) -> tuple[str, Value]:
        return file.name, self._work(file)
