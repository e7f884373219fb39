"""The end of the program, of the pool, and of the parent: nobody is left behind, and nobody waits for nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from raddle import ForkError, WorkerDied
from raddle.futures import ProcessPoolExecutor
from tests.python.processes.support import is_alive, until

PRELUDE = """
import os, signal, sys, time
from raddle.futures import ProcessPoolExecutor

def note():
    with open(sys.argv[1], "a") as file:
        file.write(f"{os.getpid()}\\n")

def linger(seconds=600):
    note()
    time.sleep(seconds)

def wait_for(count):
    while not os.path.exists(sys.argv[1]) or len(open(sys.argv[1]).readlines()) < count:
        time.sleep(0.002)
"""


class Program:
    """A program with a pool, and the workers that it tells of."""

    def __init__(self, source: str, folder: Path, *flags: str) -> None:
        self.notes = folder / "notes"
        script = folder / "program.py"
        script.write_text(PRELUDE + textwrap.dedent(source))
        self.process = subprocess.Popen(
            [sys.executable, *flags, str(script), str(self.notes)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )

    def workers(self, count: int) -> list[int]:
        until(lambda: self.notes.exists() and self.notes.read_text().count("\n") >= count, 30)
        return [int(line) for line in self.notes.read_text().split()]

    def end(self, seconds: float = 30) -> tuple[str, str]:
        return self.process.communicate(timeout=seconds)


@pytest.mark.parametrize("start", ["zygote", "spawn", "fork"])
def test_ctrl_c_ends_the_program_at_once(tmp_path: Path, start: str) -> None:
    program = Program(
        f"""
        with ProcessPoolExecutor(2, start="{start}") as pool:
            futures = [pool.submit(linger) for _ in range(10)]
            futures[0].result()
        """,
        tmp_path,
    )
    workers = program.workers(2)
    begun = time.monotonic()
    program.process.send_signal(signal.SIGINT)
    _, errors = program.end()
    assert time.monotonic() - begun < 2
    assert program.process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1, errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    until(lambda: not any(map(is_alive, workers)), 1)


def test_ctrl_c_while_the_pool_is_left_ends_it_too(tmp_path: Path) -> None:
    program = Program(
        """
        with ProcessPoolExecutor(2) as pool:
            futures = [pool.submit(linger) for _ in range(10)]
        """,
        tmp_path,
    )
    workers = program.workers(2)
    program.process.send_signal(signal.SIGINT)
    _, errors = program.end()
    assert errors.count("Traceback") == 1, errors
    until(lambda: not any(map(is_alive, workers)), 1)


def test_ctrl_c_that_is_caught_cancels_nothing(tmp_path: Path) -> None:
    program = Program(
        """
        pool = ProcessPoolExecutor(1)
        future = pool.submit(linger, 1)
        later = pool.submit(abs, -5)
        try:
            future.result()
        except KeyboardInterrupt:
            print("caught")
        print(future.result(), later.result())
        """,
        tmp_path,
    )
    program.workers(1)
    program.process.send_signal(signal.SIGINT)
    output, errors = program.end()
    assert (output, errors) == ("caught\nNone 5\n", "")


def test_ctrl_c_while_a_worker_is_started_leaves_the_pool_whole(tmp_path: Path) -> None:
    """What a worker is told is made in the thread that submits, which is the one that is interrupted."""
    program = Program(
        """
        class Slow:
            def __reduce__(self):
                if not os.path.exists(sys.argv[1]):
                    note()
                    # One long sleep might begin just after the signal.
                    while True:
                        time.sleep(0.01)
                return int, ()

        pool = ProcessPoolExecutor(1, initializer=str, initargs=(Slow(),))
        try:
            pool.submit(abs, -5).result()
        except KeyboardInterrupt:
            print("caught")
        print(pool.submit(abs, -6).result())
        """,
        tmp_path,
    )
    program.workers(1)
    program.process.send_signal(signal.SIGINT)
    assert program.end() == ("caught\n6\n", "")


def test_ctrl_c_with_callbacks_ends_in_order(tmp_path: Path) -> None:
    """What is told of the tasks' deaths meets no interpreter that is gone."""
    program = Program(
        """
        with ProcessPoolExecutor(2) as pool:
            futures = [pool.options(retries=3).submit(linger) for _ in range(10)]
            for future in futures:
                future.add_done_callback(lambda _: sum(range(10000)))
            futures[0].result()
        """,
        tmp_path,
    )
    program.workers(2)
    program.process.send_signal(signal.SIGINT)
    _, errors = program.end()
    assert program.process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1, errors


def test_the_program_ends_after_its_last_task(tmp_path: Path) -> None:
    program = Program(
        """
        pool = ProcessPoolExecutor(2)
        futures = [pool.submit(linger, 0.05) for _ in range(6)]
        pool.shutdown(wait=False)
        """,
        tmp_path,
    )
    assert program.end() == ("", "")
    assert len(program.workers(6)) == 6
    assert not any(map(is_alive, program.workers(6)))


@pytest.mark.parametrize("start", ["zygote", "spawn", "fork"])
def test_nobody_survives_a_parent_that_is_killed(tmp_path: Path, start: str) -> None:
    program = Program(
        f"""
        pool = ProcessPoolExecutor(3, start="{start}")
        futures = [pool.submit(linger) for _ in range(10)]
        wait_for(3)
        with open(sys.argv[1], "a") as file:
            file.write(f"{{pool.submit(os.getppid) and 0}}\\n")
        futures[0].result()
        """,
        tmp_path,
    )
    workers = program.workers(4)[:3]
    children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children").read_text().split()
    program.process.kill()
    program.process.wait()
    until(lambda: not any(map(is_alive, workers)), 0.5)
    until(lambda: not any(is_alive(int(child)) for child in children), 0.5)
    program.end()


def test_an_idle_pool_does_not_keep_the_program(tmp_path: Path) -> None:
    program = Program("pool = ProcessPoolExecutor(2); print(pool.submit(abs, -1).result())", tmp_path)
    assert program.end(10) == ("1\n", "")


def test_a_forked_child_of_the_parent_starts_afresh() -> None:
    with ProcessPoolExecutor(2) as pool:
        pool.submit(abs, 1).result()
        pending = [pool.submit(time.sleep, 0.3) for _ in range(4)]
        until(pending[0].running)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                failed = sum(isinstance(future.exception(5), ForkError) for future in pending)
                fresh = pool.submit(os.getppid).result(20) not in (0, os.getppid())
                code = 0 if failed == 4 and fresh and pool.submit(abs, -7).result(20) == 7 else 2
                pool.shutdown()
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert [future.result(30) for future in pending] == [None] * 4
        assert pool.submit(abs, -3).result() == 3


def test_killing_the_pool_ends_everything_at_once() -> None:
    pool = ProcessPoolExecutor(2)
    futures = [pool.submit(time.sleep, 600) for _ in range(20)]
    until(lambda: sum(future.running() for future in futures) == 2)
    begun = time.monotonic()
    pool.terminate_workers()
    pool.shutdown()
    assert time.monotonic() - begun < 5
    assert sum(future.cancelled() for future in futures) == 18
    assert all(future.cancelled() or isinstance(future.exception(), WorkerDied) for future in futures)
