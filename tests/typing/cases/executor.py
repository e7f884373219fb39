"""`ThreadPoolExecutor`: what it is made with, and what it tells."""

import concurrent.futures

from typing_extensions import assert_type

from raddle.futures import Executor, ExecutorStats, TaskView, ThreadPoolExecutor


def start(path: str, size: int) -> None: ...


pool = ThreadPoolExecutor(4, "worker", start, ("log", 3), max_pending=8, on_full="raise", native_threads=1)
executor: Executor = pool
stdlib_pool: concurrent.futures.ThreadPoolExecutor = pool
ThreadPoolExecutor(max_workers="4")  # type: ignore[arg-type]
ThreadPoolExecutor(on_full="wait")  # type: ignore[arg-type]
ThreadPoolExecutor(4, "worker", start, ("log", 3), 8)  # type: ignore[call-arg]

assert_type(pool.stats(), ExecutorStats)
assert_type(pool.stats().queued, int)
pool.resize(8)
pool.resize(None)  # type: ignore[arg-type]
pool.shutdown(False, cancel_futures=True)

earlier = pool.submit(int)
assert_type(pool.options(), TaskView)
pool.options(retry_on=(OSError, ValueError), backoff=lambda attempt: attempt / 2)
pool.options(after=[earlier, concurrent.futures.Future[str]()])
pool.options(retry_on="OSError")  # type: ignore[arg-type]
pool.options(after=[3])  # type: ignore[list-item]
pool.options(timeouts=1)  # type: ignore[call-arg]

with ThreadPoolExecutor() as entered:
    assert_type(entered, ThreadPoolExecutor)


class Named(ThreadPoolExecutor):
    """An executor may be subclassed, and remains itself in a `with`."""


with Named() as named:
    assert_type(named, Named)


async def entering() -> None:
    async with Named() as entered_async:
        assert_type(entered_async, Named)
