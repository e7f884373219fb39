"""What there is no more of: tasks wait for it, and an error names the limit in the end. And who keeps what how long."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from raddle.futures import ProcessPoolExecutor
from tests.python.processes.support import is_alive, no_descriptors, until


@pytest.mark.parametrize("start", ["zygote", "spawn", "fork"])
def test_a_task_waits_while_no_worker_can_be_started(start: str) -> None:
    with ProcessPoolExecutor(1) as warm:
        warm.submit(abs, 1).result()
        with ProcessPoolExecutor(1, start=start) as pool:
            with no_descriptors():
                future = pool.submit(abs, -1)
                time.sleep(0.2)  # several tries; were the first one the last, there would be an error by now
                assert not future.done()
            assert future.result(60) == 1
            assert pool.submit(abs, -2).result(60) == 2


def test_the_error_names_the_limit() -> None:
    with ProcessPoolExecutor(1) as warm:
        warm.submit(abs, 1).result()
        pool = ProcessPoolExecutor(1)
        with no_descriptors():
            error = pool.submit(abs, 1).exception(60)
        assert isinstance(error, BrokenProcessPool)
        assert "Too many open files" in str(error)
        assert "ulimit -n" in str(error)
        pool.shutdown()


def test_an_arena_of_less_than_a_huge_page_will_do() -> None:
    with ProcessPoolExecutor(1, arena_limit=1) as pool:
        assert pool.submit(bytes, 1 << 20).result(60) == bytes(1 << 20)
        assert pool.submit(len, bytes(1 << 20)).result(60) == 1 << 20


class Sheet:
    """Bytes that travel out of band: whoever gets them looks at shared memory."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: object) -> tuple[type[Sheet], tuple[pickle.PickleBuffer]]:
        return Sheet, (pickle.PickleBuffer(self.data),)

    def __len__(self) -> int:
        return memoryview(self.data).nbytes


def make_sheet(size: int, value: int) -> Sheet:
    return Sheet(bytearray([value]) * size)


LARGE = 1_500_000
"""Bytes, of which an arena of 2 MiB holds one block."""


def test_many_who_submit_large_arguments_to_a_small_arena_wait_for_each_other() -> None:
    lengths: list[int] = []
    with ProcessPoolExecutor(2, arena_limit=2 << 20) as pool:

        def submit() -> None:
            lengths.extend(pool.submit(len, make_sheet(LARGE, 1)).result(60) for _ in range(5))

        threads = [threading.Thread(target=submit) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert lengths == [LARGE] * 40


def test_large_results_may_be_kept_although_the_arena_is_small() -> None:
    with ProcessPoolExecutor(2, arena_limit=2 << 20) as pool:
        futures = [pool.submit(make_sheet, LARGE, value) for value in range(10)]
        kept = [future.result(60) for future in futures]
    assert [memoryview(sheet.data)[0] for sheet in kept] == list(range(10))


KEPT: list[Sheet] = []


def keep(sheet: Sheet) -> int:
    KEPT.append(sheet)
    return len(sheet)


@pytest.mark.parametrize("size", [300_000, 900_000, 1_100_000])
def test_whatever_is_kept_leaves_room_for_what_the_arena_can_hold(size: int) -> None:
    with ProcessPoolExecutor(1, arena_limit=2 << 20) as pool:
        kept = [pool.submit(make_sheet, size, value).result(60) for value in range(6)]
        assert len(pool.submit(make_sheet, 2_000_000, 7).result(60)) == 2_000_000
        assert [memoryview(sheet.data)[0] for sheet in kept] == list(range(6))
        assert [pool.submit(keep, make_sheet(size, 1)).result(60) for _ in range(6)] == [size] * 6
        assert pool.submit(len, make_sheet(2_000_000, 1)).result(60) == 2_000_000


def test_what_is_larger_than_the_arena_names_its_limit() -> None:
    with ProcessPoolExecutor(1, arena_limit=2 << 20) as pool:
        for future in (pool.submit(len, make_sheet(3 << 20, 1)), pool.submit(make_sheet, 3 << 20, 1)):
            with pytest.raises(ValueError, match="arena_limit"):
                future.result(60)
        assert pool.submit(abs, -1).result(60) == 1


class Called:
    """A function that something can be seen to hold."""

    def __call__(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def __reduce__(self) -> tuple[type[Called], tuple[()]]:
        return Called, ()


def test_what_a_map_held_is_let_go_although_nobody_comes_by() -> None:
    with ProcessPoolExecutor(1) as pool:
        function = Called()
        held = weakref.ref(function)
        results = pool.map(function, [0.01, 0.5])
        assert next(results) == 0.01
        until(lambda: pool._stats()["busy"] == 1)
        time.sleep(0.1)  # it has begun, so it is not taken back
        del function, results
        # The last batch comes back when nobody is there but the pool's own threads.
        until(lambda: held() is None)


PARENT = """
import ctypes, os, signal, sys, time
from raddle.futures import ProcessPoolExecutor

def stay():
    # Whatever else there is to end a worker with its parent, this one has its life line alone.
    ctypes.CDLL(None).prctl(1, 0)
    with open(sys.argv[1], "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)

pool = ProcessPoolExecutor(1, start=sys.argv[2])
pool.submit(abs, 1).result()
pool.submit(stay)
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read():
    time.sleep(0.01)
child = os.fork()
if child == 0:
    os.setsid()
    time.sleep(600)
print(child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("start", ["zygote", "spawn", "fork"])
def test_a_forked_child_of_the_parent_keeps_no_worker_alive(tmp_path: Path, start: str) -> None:
    told = tmp_path / "worker"
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PARENT))
    parent = subprocess.Popen(
        [sys.executable, str(program), str(told), start], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.stdout.close()
    try:
        assert parent.wait(60) == -signal.SIGKILL
        worker = int(told.read_text())
        until(lambda: not is_alive(worker))
        assert is_alive(child)
    finally:
        os.kill(child, signal.SIGKILL)
