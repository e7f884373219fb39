"""Futures of threads in asyncio; what holds for every executor stands in tests/python/executors."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import pytest

from raddle.futures import Future, ThreadPoolExecutor
from tests.python.futures.support import LONG, Gate, until

MakePool = Callable[..., ThreadPoolExecutor]


async def awaiting(future: Future[Any]) -> Any:
    return await future


async def settle() -> None:
    """Let the loop do everything that is due."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_from_several_loops_at_once(
    single: ThreadPoolExecutor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    future = single.submit(gate, 5)
    registered: list[object] = []
    register = type(future).add_done_callback

    def watched(self: Future[Any], fn: Callable[[Any], object]) -> None:
        register(self, fn)
        registered.append(fn)

    monkeypatch.setattr(type(future), "add_done_callback", watched)
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(asyncio.run(awaiting(future)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    # Otherwise the last loops might find it done.
    until(lambda: len(registered) == 4)
    assert not future.done()
    gate.open()
    for thread in threads:
        thread.join(LONG)
    assert got == [5] * 4


class TestCancellation:
    def test_a_running_task_runs_on(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        future = single.submit(gate, 5)
        gate.await_entry()

        async def main() -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(awaiting(future), 0.01)

        asyncio.run(main())
        gate.open()
        assert future.result(LONG) == 5


def test_asyncio_uses_the_executor_as_its_own(make_pool: MakePool) -> None:
    pool = make_pool(2, thread_name_prefix="mine")
    variable = contextvars.ContextVar("variable", default="unset")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(pool)
        variable.set("set")
        assert await loop.run_in_executor(None, lambda: threading.current_thread().name) == "mine_0"
        assert await loop.run_in_executor(pool, variable.get) == "set"
        assert await asyncio.to_thread(variable.get) == "set"
        assert await asyncio.wrap_future(pool.submit(pow, 2, 3)) == 8

    asyncio.run(main())


def test_a_loop_that_was_closed_is_forgotten(single: ThreadPoolExecutor, gate: Gate) -> None:
    future = single.submit(gate, 5)
    gate.await_entry()
    loop = asyncio.new_event_loop()
    task = loop.create_task(awaiting(future))
    loop.run_until_complete(settle())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    gate.open()
    assert future.result(LONG) == 5


class TestAsyncWith:
    @pytest.mark.parametrize("where", ["in the body", "at its end"])
    def test_cancelled(self, gate: Gate, where: str) -> None:
        futures: list[Future[Any]] = []

        async def body() -> None:
            async with ThreadPoolExecutor(1) as pool:
                futures.extend([pool.submit(gate), pool.submit(int)])
                if where == "in the body":
                    await asyncio.Event().wait()

        async def main() -> None:
            task = asyncio.ensure_future(body())
            while not gate.entered.is_set():
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert futures[1].cancelled()
        assert not futures[0].done()
        gate.open()
        until(futures[0].done)

    def test_what_goes_wrong_at_the_end_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken() -> None:
            raise MemoryError

        async def main() -> None:
            async with ThreadPoolExecutor(1) as pool:
                monkeypatch.setattr(pool._workers, "join", broken)

        with pytest.raises(MemoryError):
            asyncio.run(main())
