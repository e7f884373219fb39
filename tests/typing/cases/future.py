"""`Future[T]`: the stdlib's with more, and awaitable."""

import asyncio
import concurrent.futures
from typing import Any

from typing_extensions import assert_type

from raddle.futures import Future, ThreadPoolExecutor

pool = ThreadPoolExecutor()
future = pool.submit(int, "3")

assert_type(future.result(), int)
assert_type(future.exception(timeout=None), BaseException | None)
assert_type(future.cancel(), bool)
assert_type(future.done(), bool)
assert_type(future.name, str | None)
assert_type(future.start, float | None)
assert_type(future.duration, float | None)
assert_type(future.worker, str | None)
future.name = "other"  # type: ignore[misc]
_ = future.colour  # type: ignore[attr-defined]

stdlib_future: concurrent.futures.Future[int] = future
wrong: Future[str] = future  # type: ignore[assignment]
other_way: Future[int] = concurrent.futures.Future[int]()  # type: ignore[assignment]


def ours(done: Future[int]) -> None: ...
def stdlibs(done: concurrent.futures.Future[int]) -> None: ...
def of_text(done: Future[str]) -> None: ...


future.add_done_callback(ours)
future.add_done_callback(stdlibs)
future.add_done_callback(lambda done: print(done.result() + 1))
future.add_done_callback(of_text)  # type: ignore[arg-type]

by_hand: Future[int] = Future()
by_hand.set_result(3)
by_hand.set_result("3")  # type: ignore[arg-type]
by_hand.set_exception(ValueError())
assert_type(by_hand.set_running_or_notify_cancel(), bool)


async def awaiting() -> None:
    assert_type(await future, int)
    assert_type(await asyncio.wait_for(asyncio.wrap_future(future), 1), int)
    loop = asyncio.get_running_loop()
    assert_type(await loop.run_in_executor(pool, int, "3"), int)
    loop.set_default_executor(pool)
    assert_type(await later(future), int)


async def later(awaited: Future[int]) -> int:
    return await awaited


class Counted(Future[Any]):
    """A future may be subclassed."""
