"""`_processes`: what programs do with the workers themselves that know the stdlib's executor."""

from __future__ import annotations

import os
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

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
