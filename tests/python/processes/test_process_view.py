"""`_processes`: what programs do with the workers themselves that know the stdlib's executor."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

from raddle._internal.processes.starting import Start
from raddle.futures import ProcessPoolExecutor

LONG = 60.0


def test_the_workers_by_process() -> None:
    with ProcessPoolExecutor(2) as pool:
        assert pool._processes == {}
        pid = pool.submit(os.getpid).result(LONG)
        processes = pool._processes
        assert pid in processes
        worker = processes[pid]
        assert (worker.pid, worker.is_alive(), worker.exitcode) == (pid, True, None)
        assert pool._processes[pid] is worker
    worker.join(LONG)
    assert not worker.is_alive()
    assert worker.exitcode is not None


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_one_is_ended_and_costs_its_task(how: str) -> None:
    with ProcessPoolExecutor(1) as pool:
        pid = pool.submit(os.getpid).result(LONG)
        future = pool.submit(time.sleep, 1)
        worker = pool._processes[pid]
        getattr(worker, how)()
        worker.join(LONG)
        assert not worker.is_alive()
        getattr(worker, how)()  # of no effect, and no error
        if future.exception(LONG) is not None:  # else it had not begun
            assert isinstance(future.exception(), BrokenProcessPool)
        assert pool.submit(int).result(LONG) == 0


def test_its_end_stands_for_the_thread_that_ends_the_stdlibs() -> None:
    pool = ProcessPoolExecutor(1)
    assert pool.submit(int).result(LONG) == 0
    end = pool._executor_manager_thread
    end.join(0)
    assert end.is_alive()
    pool.shutdown(wait=False)
    end.join(LONG)
    assert not end.is_alive()


def test_its_end_does_not_keep_the_executor() -> None:
    pool = ProcessPoolExecutor(1)
    assert pool.submit(int).result(LONG) == 0
    end, calls = pool._executor_manager_thread, pool._call_queue
    workers = list(pool._processes.values())
    del pool
    gc.collect()
    end.join(LONG)
    assert not any(worker.is_alive() for worker in workers)
    assert calls.empty()


def test_tasks_that_wait_are_counted() -> None:
    with ProcessPoolExecutor(1) as pool:
        assert not pool._pending_work_items
        futures = [pool.submit(time.sleep, 0.1) for _ in range(5)]
        assert 1 <= len(pool._pending_work_items) <= 5
        assert pool._call_queue.qsize() <= 5
        for future in futures:
            future.result(LONG)
        assert pool._call_queue.empty()


@pytest.mark.parametrize(("start", "method"), [(None, "spawn"), ("spawn", "spawn"), ("fork", "fork")])
def test_its_context_starts_processes_as_it_starts_workers(start: Start | None, method: str) -> None:
    with ProcessPoolExecutor(1, start=start) as pool:
        assert pool._mp_context.get_start_method() == method
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, context, start=start) as pool:
        assert pool._mp_context is context


def test_other_ways_to_end_the_workers_are_refused() -> None:
    with ProcessPoolExecutor(1) as pool, pytest.raises(ValueError, match="operation must be"):
        pool._force_shutdown("ask")
