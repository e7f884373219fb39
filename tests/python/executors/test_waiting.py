"""`wait` and `as_completed` over futures of executors of every kind, and from asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any

import pytest

from raddle.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, as_completed, wait
from tests.python.executors import jobs
from tests.python.executors.gates import Gate
from tests.python.executors.jobs import LONG
from tests.python.executors.kinds import Kind
from tests.python.futures.support import until, until_asleep


class TestThreads:
    def test_wait_in_a_loop(self, pool: Any) -> None:
        waiting = {pool.submit(pow, 2, number) for number in range(500)}
        total = 0
        while waiting:
            done, waiting = wait(waiting, LONG, FIRST_COMPLETED)
            assert done
            total += sum(future.result() for future in done)
        assert total == 2**500 - 1

    def test_wait_for_a_failure(self, pool: Any, gate: Gate) -> None:
        held = pool.submit(gate.door)
        futures = [held, pool.submit(pow, 2, 3), pool.submit(int, "x")]
        done, not_done = wait(futures, LONG, FIRST_EXCEPTION)
        assert futures[2] in done
        assert held in not_done

    @pytest.mark.parametrize("of", [wait, concurrent.futures.wait])
    def test_wait_is_over_after_its_timeout(self, pool: Any, gate: Gate, of: Callable[..., Any]) -> None:
        held, quick = pool.submit(gate.door), pool.submit(int)
        quick.result(LONG)
        assert of([held, quick], 0.01) == ({quick}, {held})

    @pytest.mark.parametrize("of", [as_completed, concurrent.futures.as_completed])
    def test_as_completed_of_executors_together(self, pool: Any, of: Callable[..., Any]) -> None:
        with concurrent.futures.ThreadPoolExecutor(2) as stdlib, ThreadPoolExecutor(2) as threads:
            executors = (pool, stdlib, threads)
            futures = [executor.submit(pow, 2, n) for n in range(100) for executor in executors]
            results = [future.result() for future in of(futures, LONG)]
        assert sorted(results) == sorted(2**n for n in range(100) for _ in range(3))

    def test_many_threads_for_one_future(self, single: Any, gate: Gate) -> None:
        future = single.submit(gate.door, 5)
        got: list[Any] = []
        threads = [threading.Thread(target=lambda: got.append(future.result(LONG))) for _ in range(8)]
        for thread in threads:
            thread.start()
        gate.open()
        for thread in threads:
            thread.join(LONG)
        assert got == [5] * 8

    def test_result_is_over_after_its_timeout(self, single: Any, gate: Gate) -> None:
        future = single.submit(gate.door, 5)
        for ask in (future.result, future.exception):
            with pytest.raises(concurrent.futures.TimeoutError):
                ask(0.01)
        gate.open()
        assert future.result(LONG) == 5


async def awaiting(future: Future[Any]) -> Any:
    return await future


async def settle() -> None:
    """Let the loop do everything that is due."""
    for _ in range(5):
        await asyncio.sleep(0)


class TestAwaiting:
    def test_result_and_error(self, pool: Any) -> None:
        async def main() -> None:
            assert await pool.submit(pow, 2, 3) == 8
            done = pool.submit(pow, 2, 4)
            done.result(LONG)
            assert await done == await done == 16
            with pytest.raises(ZeroDivisionError):
                await pool.submit(jobs.quotient, 0)
            assert await asyncio.gather(*(pool.submit(pow, 2, number) for number in range(50))) == [
                2**number for number in range(50)
            ]

        asyncio.run(main())

    def test_the_loop_goes_on_meanwhile(self, single: Any, gate: Gate) -> None:
        async def main() -> None:
            task = asyncio.ensure_future(awaiting(single.submit(gate.door, 5)))
            while not gate.entries:
                await asyncio.sleep(0)
            gate.open()
            assert await task == 5

        asyncio.run(main())

    def test_from_several_loops_at_once(self, single: Any, gate: Gate) -> None:
        future = single.submit(gate.door, 5)
        waiting = threading.Barrier(5)
        got: list[Any] = []

        async def main() -> None:
            task = asyncio.ensure_future(awaiting(future))
            await settle()
            waiting.wait(LONG)
            got.append(await task)

        threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(4)]
        for thread in threads:
            thread.start()
        waiting.wait(LONG)
        gate.open()
        for thread in threads:
            thread.join(LONG)
        assert got == [5] * 4

    def test_asyncio_works_with_the_executor(self, pool: Any) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert await loop.run_in_executor(pool, pow, 2, 3) == 8
            assert await asyncio.wrap_future(pool.submit(pow, 2, 4)) == 16
            token = jobs.VARIABLE.set("set")
            assert await loop.run_in_executor(pool, jobs.change_variable) == "set"
            jobs.VARIABLE.reset(token)

        asyncio.run(main())


class TestCancellingAwaits:
    def test_the_last_one_that_awaits_cancels_the_task(
        self, single: Any, gate: Gate, journal: jobs.Journal
    ) -> None:
        async def main() -> None:
            single.submit(gate.door)
            gate.await_entry()
            queued = single.submit(journal.note, 1)
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
        assert journal.lines() == []

    def test_not_while_a_thread_waits(self, single: Any, gate: Gate) -> None:
        single.submit(gate.door)
        gate.await_entry()
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

    def test_of_a_running_task_kills_it_where_that_is_possible(
        self, kind: Kind, single: Any, gate: Gate
    ) -> None:
        future = single.submit(gate.door, 5)
        gate.await_entry()

        async def main() -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(awaiting(future), 0.01)

        asyncio.run(main())
        if kind.kills:
            gate.await_leaving()
            with pytest.raises((concurrent.futures.CancelledError, RuntimeError)):
                future.result(LONG)
        else:
            gate.open()
            assert future.result(LONG) == 5
        assert single.submit(pow, 2, 3).result(LONG) == 8

    def test_of_the_future_reaches_those_that_await(self, single: Any, gate: Gate) -> None:
        async def main() -> None:
            single.submit(gate.door)
            gate.await_entry()
            queued = single.submit(int)
            task = asyncio.ensure_future(awaiting(queued))
            await settle()
            queued.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())

    def test_a_wrapped_future_is_cancelled_with_its_wrapper(self, single: Any, gate: Gate) -> None:
        async def main() -> None:
            single.submit(gate.door)
            gate.await_entry()
            queued = single.submit(int)
            asyncio.wrap_future(queued).cancel()
            await settle()
            assert queued.cancelled()

        asyncio.run(main())


class TestAsyncWith:
    def test_waits_without_blocking_the_loop(self, kind: Kind, gate: Gate) -> None:
        async def main() -> None:
            async with kind.executor(1) as pool:
                future = pool.submit(gate.door, 5)
                # The loop runs on while the block ends: otherwise nobody would open the gate.
                asyncio.get_running_loop().call_later(0.01, gate.open)
            assert future.result(0) == 5
            with pytest.raises(RuntimeError):
                pool.submit(int)

        asyncio.run(main())

    def test_an_error_waits_too(self, kind: Kind, gate: Gate) -> None:
        futures: list[Future[Any]] = []

        async def main() -> None:
            async with kind.executor(1) as pool:
                futures.append(pool.submit(gate.door, 5))
                gate.open()
                raise KeyError

        with pytest.raises(KeyError):
            asyncio.run(main())
        assert futures[0].done()

    @pytest.mark.parametrize("where", ["in the body", "at its end"])
    def test_cancelled(self, kind: Kind, gate: Gate, where: str) -> None:
        futures: list[Future[Any]] = []

        async def body() -> None:
            async with kind.executor(1) as pool:
                futures.extend([pool.submit(gate.door), pool.submit(int)])
                if where == "in the body":
                    await asyncio.Event().wait()

        async def main() -> None:
            task = asyncio.ensure_future(body())
            while not gate.entries:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert futures[1].cancelled()
        gate.open()
        until(futures[0].done)
