"""An executor in a task: a handle to the parent's, or a pool of its own."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

from raddle.futures import ProcessPoolExecutor, ThreadPoolExecutor
from tests.python.processes.support import is_alive, until


def test_a_pickled_executor_is_itself_at_home() -> None:
    with ProcessPoolExecutor(1) as processes, ThreadPoolExecutor(1) as threads:
        for pool in (processes, threads):
            assert pickle.loads(pickle.dumps(pool)) is pool
            assert pool is processes or processes.submit(echo, pool).result() is pool


def echo(value: Any) -> Any:
    return value


def where() -> int:
    return os.getpid()


def submit_to(pool: Executor) -> tuple[int, int, int]:
    return os.getpid(), os.getppid(), pool.submit(where).result()


def test_a_handle_runs_tasks_in_the_parents_executors() -> None:
    with ThreadPoolExecutor(1) as threads, ProcessPoolExecutor(2) as other, ProcessPoolExecutor(1) as pool:
        assert pool.submit(submit_to, threads).result(30)[2] == os.getpid()
        mine, _, theirs = pool.submit(submit_to, other).result(30)
        assert theirs == other.submit(where).result() or theirs in other._pids()
        assert mine != theirs


def factorial(pool: Executor, number: int) -> int:
    return 1 if number == 0 else number * pool.submit(factorial, pool, number - 1).result()


@pytest.mark.parametrize("start", ["zygote", "fork"])
def test_one_worker_is_enough_for_any_depth(start: str) -> None:
    with ProcessPoolExecutor(1, start=start) as pool:
        assert pool.submit(factorial, pool, 6).result(60) == 720
        assert [future.result(60) for future in [pool.submit(abs, -n) for n in range(100)]] == list(
            range(100)
        )


def mapped(pool: Executor, count: int) -> list[int]:
    return list(pool.map(abs, range(0, -count, -1)))


def test_map_works_through_a_handle() -> None:
    with ProcessPoolExecutor(1) as pool:
        assert pool.submit(mapped, pool, 20).result(60) == list(range(20))


def tried(pool: Any, path: str) -> list[object]:
    """Use a view of the handle: a task that fails at first, one that takes too long, and some that wait for others."""
    flaky = pool.options(retries=3, backoff=0.001).submit(fail_at_first, path)
    endless = pool.options(timeout=0.1, name="endless").submit(exec, "while True: pass")
    ready = threading.Event()
    with ThreadPoolExecutor(1) as own:
        first = own.submit(ready.wait)
        after = pool.options(after=[first, flaky]).submit(abs, -4)
        ready.set()
    doomed = pool.options(after=endless).submit(int)
    items = pool.options(retries=1, priority=2).map(abs, [-1, -2], buffersize=1)
    ranked = pool.options(priority=5).map(pow, [2, 3], [2, 2])
    errors = [endless.exception(), doomed.exception()]
    names = [type(error).__name__ for error in (*errors, errors[1].__cause__)]
    return [flaky.result(), after.result(), names, list(items), list(ranked)]


def fail_at_first(path: str) -> str:
    if not os.path.exists(path):
        with open(path, "w"):
            raise ValueError
    return "second"


def test_options_work_through_a_handle(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1) as pool:
        assert pool.submit(tried, pool, str(tmp_path / "seen")).result(60) == [
            "second",
            4,
            ["TaskTimeout", "DependencyFailed", "TaskTimeout"],
            [1, 2],
            [4, 9],
        ]
        assert (pool.stats().retried, pool.stats().timed_out) == (1, 1)


def wait_for(pool: Executor, path: str) -> None:
    pool.submit(wait_until_there_is, path).result()


def wait_until_there_is(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.001)


def test_workers_that_wait_are_counted_as_blocked(tmp_path: Path) -> None:
    path = str(tmp_path / "there")
    with ProcessPoolExecutor(1) as pool:
        future = pool.submit(wait_for, pool, path)
        until(lambda: (pool.stats().blocked, pool.stats().busy, pool.stats().queued) == (1, 1, 0))
        open(path, "w").close()
        future.result(30)
        until(lambda: (pool.stats().blocked, pool.stats().busy) == (0, 0))


async def awaiting(pool: Any, depth: int) -> int:
    if depth == 0:
        return 0
    parts = [pool.submit(awaiting, pool, depth - 1) for _ in range(2)]
    return 1 + sum(await asyncio.gather(*parts))


def test_coroutines_give_their_place_away_too() -> None:
    with ProcessPoolExecutor(1) as pool:
        assert pool.submit(awaiting, pool, 3).result(60) == 7
        futures = [pool.submit(os.getpid) for _ in range(20)]
        assert len({future.result(60) for future in futures}) == 1


def fail(pool: Executor) -> str:
    try:
        pool.submit(int, "x").result()
    except ValueError as error:
        return str(error)
    return ""


def big(pool: Executor) -> int:
    return len(pool.submit(echo, b"x" * 3_000_000).result())


def test_errors_and_large_values_come_back() -> None:
    with ProcessPoolExecutor(1) as pool:
        assert "invalid literal" in pool.submit(fail, pool).result(30)
        assert pool.submit(big, pool).result(30) == 3_000_000


def test_no_more_workers_run_than_there_are_to_be() -> None:
    with ProcessPoolExecutor(2) as pool:
        futures = [pool.submit(factorial, pool, 3) for _ in range(6)]
        assert [future.result(60) for future in futures] == [6] * 6
        sleepers = [pool.submit(time.sleep, 0.3) for _ in range(6)]
        time.sleep(0.1)
        assert sum(future.running() for future in sleepers) <= 2
        for future in sleepers:
            future.result(30)


def nested(depth: int) -> list[int]:
    if depth == 0:
        return [os.getpid()]
    with ProcessPoolExecutor(1) as pool:
        return [os.getpid(), *pool.submit(nested, depth - 1).result()]


@pytest.mark.slow
def test_pools_nest() -> None:
    with ProcessPoolExecutor(1) as pool:
        pids = pool.submit(nested, 5).result(100)
    assert len(set(pids)) == 6
    until(lambda: not any(map(is_alive, pids)))


kept: list[Executor] = []


def keep_a_pool() -> int:
    kept.append(ProcessPoolExecutor(1))
    return kept[-1].submit(where).result()


def test_a_workers_own_pool_ends_with_it() -> None:
    with ProcessPoolExecutor(1) as pool:
        inner = pool.submit(keep_a_pool).result(30)
        assert is_alive(inner)
        pool.submit(os._exit, 0).exception()
        until(lambda: not is_alive(inner))


def pass_down(pool: Executor) -> int:
    with ProcessPoolExecutor(1) as own:
        return own.submit(submit_to, pool).result()[2]


def test_a_handle_can_be_passed_further_down() -> None:
    with ThreadPoolExecutor(1) as threads, ProcessPoolExecutor(1) as pool:
        assert pool.submit(pass_down, threads).result(60) == os.getpid()


def test_nobody_stays_to_serve_handles() -> None:
    with ProcessPoolExecutor(1) as pool:
        pool.submit(factorial, pool, 2).result(30)
    until(lambda: not any(thread.name == "raddle-handles" for thread in threading.enumerate()))


# ------------------------------------------------------------------------------------------ what is asked of futures


def withdraw(pool: Any, path: str) -> list[object]:
    running = pool.submit(wait_until_there_is, path)
    until(running.running)
    waiting = pool.submit(abs, -1)
    told: list[object] = [waiting.running(), waiting.cancel(), waiting.cancelled(), running.cancel()]
    told += [running.terminate(), type(running.exception(30)).__name__, running.running()]
    return told


def test_a_task_of_a_handle_can_be_cancelled_and_killed(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1) as other, ProcessPoolExecutor(1) as pool:
        told = pool.submit(withdraw, other, str(tmp_path / "never")).result(60)
        assert told == [False, True, True, False, True, "WorkerDied", False]
        assert other.submit(abs, -1).result(30) == 1


def give_up(pool: Any, path: str) -> None:
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(pool.submit(wait_until_there_is, path), 0.2)

    asyncio.run(main())


def test_a_task_of_a_handle_that_nobody_awaits_any_more_is_killed(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1) as other, ProcessPoolExecutor(1) as pool:
        pool.submit(give_up, other, str(tmp_path / "never")).result(60)
        assert other.submit(abs, -1).result(30) == 1


def leave(pool: Any, path: str) -> str:
    with pool as handle:
        first, second = handle.submit(wait_until_there_is, path), handle.submit(abs, -1)
        until(first.running)
        second.cancel()
        open(path, "w").close()
    return f"{first.done()} {second.cancelled()}"


def leave_early(pool: Any, path: str) -> list[bool]:
    first, second = pool.submit(wait_until_there_is, path), pool.submit(abs, -1)
    until(first.running)
    open(path, "w").close()
    pool.shutdown(cancel_futures=True)
    return [first.done(), second.done()]


def test_the_end_of_a_handle_waits_for_its_tasks(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1) as other, ProcessPoolExecutor(1) as pool:
        assert pool.submit(leave, other, str(tmp_path / "one")).result(60) == "True True"
        assert pool.submit(leave_early, other, str(tmp_path / "other")).result(60) == [True, True]


def meet(folder: str, name: str, number: int) -> None:
    (Path(folder) / name).touch()
    until(lambda: len(os.listdir(folder)) == number, 30)


def look_after(pool: Any, folder: str) -> list[object]:
    async def main() -> object:
        async with pool as handle:
            future = handle.submit(abs, -2)
        return future.done()

    pool.resize(3)
    with pytest.raises(ValueError, match="max_workers"):
        pool.resize(0)
    meetings = [pool.submit(meet, folder, name, 3) for name in "abc"]
    for meeting in meetings:
        meeting.result(60)
    return [pool.stats().failed, asyncio.run(main())]


def test_a_handle_tells_of_the_executor_and_resizes_it(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1) as other, ThreadPoolExecutor(1) as threads, ProcessPoolExecutor(1) as pool:
        for executor in (other, threads):
            folder = tmp_path / type(executor).__name__
            folder.mkdir()
            assert pool.submit(look_after, executor, str(folder)).result(60) == [0, True]


def leave_with_one_worker(pool: Any, how: str) -> int:
    if how == "with":
        with pool as handle:
            future = handle.submit(abs, -3)
    else:
        future = pool.submit(abs, -3)
        pool.shutdown()
    assert future.done()
    return int(future.result())


@pytest.mark.parametrize("how", ["with", "shutdown"])
def test_the_end_of_a_handle_gives_the_workers_place_away(how: str) -> None:
    with ProcessPoolExecutor(1) as pool:
        assert pool.submit(leave_with_one_worker, pool, how).result(60) == 3
