"""Futures in asyncio: awaited from one loop or several, wrapped, and as the default executor's."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import pytest

from raddle.futures import Future, ThreadPoolExecutor
from tests.python.futures.support import LONG, Gate, until, until_asleep

MakePool = Callable[..., ThreadPoolExecutor]


async def awaiting(future: Future[Any]) -> Any:
    return await future


async def settle() -> None:
    """Let the loop do everything that is due."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_result_and_error(pool: ThreadPoolExecutor) -> None:
    async def main() -> None:
        assert await pool.submit(pow, 2, 3) == 8
        done = pool.submit(pow, 2, 4)
        done.result(LONG)
        assert await done == await done == 16
        with pytest.raises(ZeroDivisionError):
            await pool.submit(lambda: 1 / 0)
        assert await asyncio.gather(*(pool.submit(pow, 2, number) for number in range(50))) == [
            2**number for number in range(50)
        ]

    asyncio.run(main())


def test_the_loop_goes_on_meanwhile(single: ThreadPoolExecutor, gate: Gate) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(awaiting(single.submit(gate, 5)))
        ticks = 0
        while not gate.entered.is_set():
            ticks += 1
            await asyncio.sleep(0)
        gate.open()
        assert await task == 5

    asyncio.run(main())


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
    def test_the_last_one_that_awaits_cancels_the_task(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        calls: list[int] = []

        async def main() -> None:
            single.submit(gate)
            queued = single.submit(calls.append, 1)
            tasks = [asyncio.ensure_future(awaiting(queued)) for _ in range(3)]
            await settle()
            for task in tasks[:2]:
                task.cancel()
            await settle()
            assert not queued.cancelled()
            tasks[2].cancel()
            await settle()
            assert queued.cancelled()
            assert all(task.cancelled() for task in tasks)

        asyncio.run(main())
        gate.open()
        assert single.submit(pow, 2, 3).result(LONG) == 8
        assert calls == []

    def test_not_while_a_thread_waits(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        single.submit(gate)
        queued = single.submit(pow, 2, 3)
        got: list[int] = []
        waiter = threading.Thread(target=lambda: got.append(queued.result(LONG)))

        async def main() -> None:
            task = asyncio.ensure_future(awaiting(queued))
            await settle()
            waiter.start()
            until_asleep(waiter)
            task.cancel()
            await settle()

        asyncio.run(main())
        gate.open()
        waiter.join(LONG)
        assert got == [8]

    def test_a_running_task_runs_on(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        future = single.submit(gate, 5)
        gate.await_entry()

        async def main() -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(awaiting(future), 0.01)

        asyncio.run(main())
        gate.open()
        assert future.result(LONG) == 5

    def test_of_the_future_reaches_those_that_await(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        async def main() -> None:
            single.submit(gate)
            queued = single.submit(int)
            task = asyncio.ensure_future(awaiting(queued))
            await settle()
            queued.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())


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


def test_a_wrapped_future_is_cancelled_with_its_wrapper(single: ThreadPoolExecutor, gate: Gate) -> None:
    async def main() -> None:
        single.submit(gate)
        queued = single.submit(int)
        asyncio.wrap_future(queued).cancel()
        await settle()
        assert queued.cancelled()

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
    def test_waits_without_blocking_the_loop(self, gate: Gate) -> None:
        async def main() -> None:
            async with ThreadPoolExecutor(1) as pool:
                future = pool.submit(gate, 5)
                # The loop runs on while the block ends: otherwise nobody would open the gate.
                asyncio.get_running_loop().call_later(0.01, gate.open)
            assert future.result(0) == 5
            with pytest.raises(RuntimeError):
                pool.submit(int)

        asyncio.run(main())

    def test_an_error_waits_too(self, gate: Gate) -> None:
        futures: list[Future[Any]] = []

        async def main() -> None:
            async with ThreadPoolExecutor(1) as pool:
                futures.append(pool.submit(gate, 5))
                gate.open()
                raise KeyError

        with pytest.raises(KeyError):
            asyncio.run(main())
        assert futures[0].done()

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
