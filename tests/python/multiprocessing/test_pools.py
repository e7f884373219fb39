"""`Pool`, above all when workers die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from typing import Any

import pytest

import raddle
from raddle import multiprocessing as mp
from raddle.multiprocessing import pool as pools

METHODS = ["fork", "spawn", "forkserver"]


def square(number: int) -> int:
    return number * number


def maybe_die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def leave(code: int) -> None:
    sys.exit(code)


def own_pid(_: object = None) -> int:
    time.sleep(0.01)
    return os.getpid()


@pytest.mark.parametrize("method", METHODS)
def test_it_calls_functions(method: str) -> None:
    with mp.get_context(method).Pool(2) as pool:
        assert isinstance(pool, pools.Pool)
        assert isinstance(pool, multiprocessing.pool.Pool)
        assert pool.map(square, range(100)) == [square(number) for number in range(100)]
        assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
        assert list(pool.imap(square, range(10), 3)) == [square(number) for number in range(10)]
        assert sorted(pool.imap_unordered(square, range(10))) == [square(number) for number in range(10)]
        called: list[object] = []
        assert pool.apply_async(square, (3,), callback=called.append).get(30) == 9
        assert called == [9]
        with pytest.raises(ZeroDivisionError):
            pool.apply(divmod, (1, 0))


def test_a_killed_worker_fails_its_task_alone() -> None:
    with mp.get_context("fork").Pool(2) as pool:
        results: list[Any] = [pool.apply_async(maybe_die, (number,)) for number in range(10)]
        for number, result in enumerate(results):
            if number == 3:
                with pytest.raises(raddle.WorkerDied, match="was killed by SIGKILL"):
                    result.get(30)
            else:
                assert result.get(30) == number
        assert pool.map(square, range(10)) == [square(number) for number in range(10)]


def test_a_worker_that_ends_itself_fails_its_task() -> None:
    with mp.get_context("fork").Pool(1) as pool, pytest.raises(Exception, match="exit code 7"):
        pool.apply(leave, (7,))


@pytest.mark.parametrize("way", ["map", "imap", "imap_unordered"])
def test_all_ways_to_map_notice(way: str) -> None:
    with mp.get_context("fork").Pool(2) as pool, pytest.raises(Exception, match="SIGKILL"):
        list(getattr(pool, way)(maybe_die, range(10), 1))


def test_workers_are_replaced_after_so_many_tasks() -> None:
    with mp.get_context("fork").Pool(1, maxtasksperchild=2) as pool:
        pids = pool.map(own_pid, range(6), 1)
    assert len(set(pids)) == 3


@pytest.mark.slow
def test_a_pool_survives_a_killer() -> None:
    with mp.get_context("fork").Pool(3) as pool:
        results = [pool.apply_async(own_pid) for _ in range(300)]
        for _ in range(20):
            time.sleep(0.02)
            victim: Any = pool._pool[0]  # type: ignore[attr-defined]
            os.kill(victim.pid, signal.SIGKILL)
        died = 0
        for result in results:
            try:
                result.get(60)
            except raddle.WorkerDied:
                died += 1
    assert died <= 20


def start_a_pool(pids: Any) -> None:
    pool = mp.get_context("fork").Pool(2)
    for process in pool._pool:  # type: ignore[attr-defined]
        pids.put(process.pid)
    pool.map(square, range(10))
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_end_when_their_parent_is_killed() -> None:
    context = mp.get_context("fork")
    pids = context.Queue()
    process = context.Process(target=start_a_pool, args=(pids,))
    process.start()
    process.join()
    left = {pids.get(timeout=10) for _ in range(2)}
    deadline = time.monotonic() + 30
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if os.path.exists(f"/proc/{pid}") and not is_zombie(pid)}
        time.sleep(0.01)
    assert not left


def is_zombie(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"
