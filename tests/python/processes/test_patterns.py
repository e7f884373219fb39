"""What programs that used joblib, loky or the stdlib's pool do with a pool, all at once or one after the other."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import itertools
import multiprocessing
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

import raddle
import raddle.multiprocessing
from raddle.futures import ProcessPoolExecutor, ThreadPoolExecutor
from tests.python.processes.support import until

LONG = 60.0
MEGABYTE = 1 << 20
_kept: list[Any] = []


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Two workers for all tests of this file: a pool is made to be used again."""
    with ProcessPoolExecutor(2) as shared:
        yield shared


def keep(value: object) -> int:
    _kept.append(value)
    return len(_kept)


def filled(number: int) -> bytes:
    return bytes([number % 256]) * (64 * 1024)


def echo(value: Any) -> Any:
    return value


def nest(depth: int) -> int:
    if depth == 0:
        return os.getpid()
    with ProcessPoolExecutor(1) as inner:
        return inner.submit(nest, depth - 1).result(LONG)


def square_all(numbers: list[int]) -> list[int]:
    with multiprocessing.get_context("fork").Pool(2) as inner:
        return inner.map(abs, numbers)


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("not this one")


class Unloadable:
    def __reduce__(self) -> Any:
        return int, ("not a number",)


class Peculiar(Exception):
    def __init__(self, code: int, *, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


def raise_peculiar() -> None:
    raise Peculiar(7, detail="a keyword")


class TestKept:
    """Whoever keeps what he was sent holds up nobody else."""

    def test_many_results(self, pool: ProcessPoolExecutor) -> None:
        futures = [pool.submit(filled, number) for number in range(2500)]
        kept = [future.result(LONG) for future in futures]
        assert all(result[0] == number % 256 for number, result in enumerate(kept))

    def test_many_arguments(self) -> None:
        with ProcessPoolExecutor(1) as pool:
            for number in range(1200):
                count = pool.submit(keep, bytearray(filled(number))).result(LONG)
            assert count == 1200

    def test_more_than_the_arena_holds(self) -> None:
        with ProcessPoolExecutor(1, arena_limit=8 * MEGABYTE) as pool:
            kept = [pool.submit(bytes, 3 * MEGABYTE).result(LONG) for _ in range(6)]
            assert {len(result) for result in kept} == {3 * MEGABYTE}
            assert [pool.submit(keep, kept[0]).result(LONG) for _ in range(6)] == [1, 2, 3, 4, 5, 6]

    def test_results_that_nobody_wants(self) -> None:
        with ProcessPoolExecutor(1, arena_limit=8 * MEGABYTE) as pool:
            for _ in range(6):
                pool.submit(bytes, 4 * MEGABYTE)
            assert pool.submit(int).result(LONG) == 0


class TestSizes:
    @pytest.mark.parametrize("size", [0, 1, 31 * 1024, 32 * 1024, 33 * 1024, 130 * 1024, 50 * MEGABYTE])
    def test_there_and_back(self, pool: ProcessPoolExecutor, size: int) -> None:
        data = os.urandom(1024) * (size // 1024 + 1)
        assert pool.submit(echo, data[:size]).result(LONG) == data[:size]

    def test_arrays_are_private_and_writable(self, pool: ProcessPoolExecutor) -> None:
        numpy = pytest.importorskip("numpy")

        def bump(array: Any) -> Any:
            array += 1
            return array

        array = numpy.zeros(100_000)
        futures = [pool.submit(bump, array) for _ in range(4)]
        for future in futures:
            result = future.result(LONG)
            result += 1
            assert (result == 2).all()
        assert not array.any()


class TestMap:
    def test_nothing(self, pool: ProcessPoolExecutor) -> None:
        assert list(pool.map(abs, [])) == []

    def test_the_shortest_decides(self, pool: ProcessPoolExecutor) -> None:
        assert list(pool.map(pow, [2, 3, 4], [1, 2])) == [2, 9]

    def test_endless_input(self, pool: ProcessPoolExecutor) -> None:
        results = pool.map(abs, itertools.count(), buffersize=8)
        assert list(itertools.islice(results, 100)) == list(range(100))
        results.close()

    def test_closed_in_the_middle(self, pool: ProcessPoolExecutor) -> None:
        results = pool.map(abs, range(1000))
        assert next(results) == 0
        results.close()
        assert list(results) == []
        assert pool.submit(int).result(LONG) == 0

    def test_an_input_that_fails(self, pool: ProcessPoolExecutor) -> None:
        def numbers() -> Iterator[int]:
            yield 1
            raise KeyError("input")

        with pytest.raises(KeyError, match="input"):
            list(pool.map(abs, numbers()))

    def test_a_timeout(self, pool: ProcessPoolExecutor) -> None:
        with pytest.raises(concurrent.futures.TimeoutError):  # the builtin one from 3.11 on
            list(pool.map(time.sleep, [0, 1], timeout=0.2))

    def test_batch_after_batch(self, pool: ProcessPoolExecutor) -> None:
        assert sum(sum(pool.map(abs, range(50))) for _ in range(100)) == 100 * 1225

    def test_a_hundred_thousand(self, pool: ProcessPoolExecutor) -> None:
        assert sum(pool.map(abs, range(100_000))) == sum(range(100_000))


class TestTogether:
    def test_a_hundred_thousand_tasks(self, pool: ProcessPoolExecutor) -> None:
        futures = [pool.submit(abs, number) for number in range(100_000)]
        assert sum(future.result(LONG) for future in futures) == sum(range(100_000))

    def test_from_many_threads(self, pool: ProcessPoolExecutor) -> None:
        with ThreadPoolExecutor(8) as threads:
            sums = threads.map(lambda _: sum(pool.submit(abs, n).result(LONG) for n in range(100)), range(16))
            assert list(sums) == [4950] * 16

    def test_from_a_callback(self, pool: ProcessPoolExecutor) -> None:
        numbers: list[int] = []
        done = threading.Event()

        def go_on(future: Any) -> None:
            numbers.append(future.result())
            if len(numbers) < 20:
                pool.submit(abs, -len(numbers)).add_done_callback(go_on)
            else:
                done.set()

        pool.submit(abs, 0).add_done_callback(go_on)
        assert done.wait(LONG)
        assert numbers == list(range(20))

    @pytest.mark.parametrize("function", [raddle.as_completed, concurrent.futures.as_completed])
    def test_as_completed_with_others(
        self, pool: ProcessPoolExecutor, function: Callable[..., Iterator[Any]]
    ) -> None:
        with ThreadPoolExecutor(2) as threads, concurrent.futures.ThreadPoolExecutor(2) as stdlib:
            futures = [executor.submit(abs, -1) for executor in (pool, threads, stdlib) for _ in range(5)]
            assert [future.result() for future in function(futures, timeout=LONG)] == [1] * 15

    def test_wait_with_the_stdlibs(self, pool: ProcessPoolExecutor) -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as stdlib:
            futures = [pool.submit(abs, -1), stdlib.submit(abs, -1)]
            assert concurrent.futures.wait(futures, LONG).done == set(futures)

    def test_run_in_executor(self, pool: ProcessPoolExecutor) -> None:
        async def main() -> list[int]:
            loop = asyncio.get_running_loop()
            return await asyncio.gather(*(loop.run_in_executor(pool, pow, 2, n) for n in range(5)))

        assert asyncio.run(main()) == [1, 2, 4, 8, 16]


class TestNested:
    def test_pools_in_pools(self, pool: ProcessPoolExecutor) -> None:
        assert pool.submit(nest, 3).result(LONG) != os.getpid()

    def test_multiprocessing_in_a_task(self, pool: ProcessPoolExecutor) -> None:
        assert pool.submit(square_all, [-1, -2]).result(LONG) == [1, 2]


class TestFailures:
    @pytest.mark.parametrize(
        "call",
        [
            lambda pool: pool.submit(echo, Unpicklable()),
            lambda pool: pool.submit(echo, value=[Unpicklable()]),
            lambda pool: pool.submit(Unpicklable().__reduce__),
            lambda pool: pool.submit(Unpicklable),
            lambda pool: pool.submit(lambda: [Unpicklable()]),
        ],
        ids=["argument", "keyword", "bound method", "result", "within a result"],
    )
    def test_what_can_not_be_sent(
        self, pool: ProcessPoolExecutor, call: Callable[[Any], raddle.Future[Any]]
    ) -> None:
        assert isinstance(call(pool).exception(LONG), TypeError)
        assert pool.submit(int).result(LONG) == 0

    @pytest.mark.parametrize("where", ["argument", "result"])
    def test_what_can_not_be_loaded(self, pool: ProcessPoolExecutor, where: str) -> None:
        future = pool.submit(echo, Unloadable()) if where == "argument" else pool.submit(Unloadable)
        error = future.exception(LONG)
        assert isinstance(error, raddle.NotDeserializable)
        assert isinstance(error.__cause__, ValueError)
        assert pool.submit(int).result(LONG) == 0

    def test_an_exception_with_a_constructor_of_its_own(self, pool: ProcessPoolExecutor) -> None:
        error = pool.submit(raise_peculiar).exception(LONG)
        assert isinstance(error, Peculiar)
        assert (error.code, error.detail, str(error)) == (7, "a keyword", "7: a keyword")

    def test_shutdown_frees_those_who_wait_for_room(self) -> None:
        pool = ProcessPoolExecutor(1, max_pending=1)
        errors: list[BaseException] = []

        def submit() -> None:
            try:
                for _ in range(10):
                    pool.submit(time.sleep, 0.5)
            except RuntimeError as error:
                errors.append(error)

        thread = threading.Thread(target=submit)
        thread.start()
        until(lambda: pool.stats().queued == 1)
        pool.shutdown(wait=False, cancel_futures=True)
        thread.join(LONG)
        assert len(errors) == 1
        pool.shutdown()


class TestInheritance:
    """What multiprocessing hands to the processes that it starts, an initializer gets too."""

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_queues_locks_and_pipes(self, method: Any) -> None:
        context: Any = multiprocessing.get_context(method)
        queue, lock = context.Queue(), context.Lock()
        reader, writer = context.Pipe(duplex=False)
        arguments = {"initializer": meet, "initargs": (queue, lock, writer)}
        with lock, ProcessPoolExecutor(1, mp_context=context, **arguments) as pool:
            assert pool.submit(greet).result(LONG) == "the lock is taken"
            assert queue.get(timeout=LONG) == "through the queue"
            assert reader.poll(LONG)
            assert reader.recv() == "through the pipe"
        queue.close()
        queue.join_thread()

    @pytest.mark.parametrize("start", ["zygote", "spawn"])
    @pytest.mark.parametrize("what", ["Lock", "Queue", "Event"])
    def test_what_only_forked_processes_can_have_is_told_with_the_cure(self, start: Any, what: str) -> None:
        for_forked: Any = getattr(multiprocessing.get_context("fork"), what)()
        pool = ProcessPoolExecutor(1, start=start, initializer=meet, initargs=(for_forked,))
        with pool, pytest.raises(BrokenProcessPool, match=r"get_context\('spawn'\).*start='fork'"):
            pool.submit(int).result(LONG)

    @pytest.mark.parametrize("start", ["zygote", "spawn", "fork"])
    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_raddles_primitives_reach_workers_however_they_start(self, start: Any, method: str) -> None:
        context = raddle.multiprocessing.get_context(method)
        queue, lock = context.Queue(), context.Lock()
        reader, writer = context.Pipe(duplex=False)
        with (
            lock,
            ProcessPoolExecutor(1, start=start, initializer=meet, initargs=(queue, lock, writer)) as pool,
        ):
            assert pool.submit(greet).result(LONG) == "the lock is taken"
            assert queue.get(timeout=LONG) == "through the queue"
            assert reader.poll(LONG)
            assert reader.recv() == "through the pipe"

    def test_what_an_initializer_got_is_let_go(self) -> None:
        argument = Load()
        gone = weakref.ref(argument)
        pool = ProcessPoolExecutor(1, initializer=meet, initargs=(argument,))
        assert pool.submit(int).result(LONG) == 0
        pool.shutdown()
        del argument, pool
        gc.collect()
        assert gone() is None


class Load:
    """Something that an initializer gets."""


_met: list[Any] = []


def meet(*what: Any) -> None:
    _met[:] = what


def greet() -> str:
    queue, lock, writer = _met
    queue.put("through the queue")
    writer.send("through the pipe")
    return "it is free" if lock.acquire(block=False) else "the lock is taken"
