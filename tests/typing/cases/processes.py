"""`ProcessPoolExecutor`: what it is made with, and that its view is that of a pool of threads."""

import concurrent.futures
import multiprocessing
from collections.abc import Callable

from typing_extensions import assert_type

import raddle
from raddle.futures import (
    Executor,
    ExecutorStats,
    Future,
    ProcessPoolExecutor,
    TaskView,
    ThreadPoolExecutor,
)


def start(path: str, size: int) -> None: ...


def half(number: int) -> float:
    return number / 2


pool = ProcessPoolExecutor(
    2, multiprocessing.get_context("spawn"), start, ("log", 3), max_tasks_per_child=8, kill_grace=0.1
)
executor: Executor = pool
stdlib_pool: concurrent.futures.ProcessPoolExecutor = pool
ProcessPoolExecutor(start="thread")  # type: ignore[arg-type]
ProcessPoolExecutor(on_full="wait")  # type: ignore[arg-type]
assert_type(pool.stats(), ExecutorStats)

earlier = pool.submit(half, 3)
assert_type(earlier, Future[float])
assert_type(earlier.terminate(), bool)
view = pool.options(
    timeout=1, retries=3, retry_on=(raddle.WorkerDied, OSError), backoff=lambda attempt: attempt / 2
)
assert_type(view, TaskView)
assert_type(view.submit(half, 3), Future[float])
assert_type(list(view.map(half, [1, 2])), list[float])
view.submit(half, "3")  # type: ignore[arg-type]
pool.options(priority=2, name="name", after=[earlier, concurrent.futures.Future[str]()])
pool.options(retry_on="OSError")  # type: ignore[arg-type]
pool.options(after=[3])  # type: ignore[list-item]
pool.options(timeouts=1)  # type: ignore[call-arg]


def careful(either: ThreadPoolExecutor | ProcessPoolExecutor, work: Callable[[], int]) -> int:
    """Views are of one type, whichever executor they are of."""
    return either.options(timeout=1, after=[earlier]).submit(work).result()


with ProcessPoolExecutor() as entered:
    assert_type(entered, ProcessPoolExecutor)
