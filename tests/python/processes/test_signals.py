"""A worker leaves the terminal to the parent; what its tasks start, and what they fork, is as usual."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from raddle.futures import ProcessPoolExecutor

WAYS = ["zygote", "spawn", "fork"]


def interrupted_program() -> int:
    process = subprocess.Popen(["sleep", "600"])
    process.send_signal(signal.SIGINT)
    return process.wait(60)


@pytest.mark.parametrize("start", WAYS)
def test_a_program_that_a_task_starts_can_be_interrupted(start: str) -> None:
    with ProcessPoolExecutor(1, start=start) as pool:
        assert pool.submit(interrupted_program).result() == -signal.SIGINT
        assert pool.submit(os.kill, 0, 0).exception() is None


def survive_interrupt() -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return "alive"


@pytest.mark.parametrize("start", WAYS)
def test_a_worker_is_not_interrupted(start: str) -> None:
    with ProcessPoolExecutor(1, start=start) as pool:
        assert pool.submit(survive_interrupt).result() == "alive"


IN_A_TERMINAL = """
import sys, termios
from raddle.futures import ProcessPoolExecutor

def touch():
    with open("/dev/tty", "rb+", buffering=0) as terminal:
        termios.tcsetattr(terminal, termios.TCSANOW, termios.tcgetattr(terminal))
        try:
            terminal.read(1)
        except OSError as error:
            return f"touched, {type(error).__name__}"

with ProcessPoolExecutor(1) as pool:
    print(pool.submit(touch).result(30))
"""


def test_a_task_may_touch_the_terminal(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(IN_A_TERMINAL)
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, str(script)])
    shown = b""
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0, shown
    assert b"touched, OSError" in shown


def forks(outcome: str) -> tuple[str, int]:
    child = os.fork()
    if child == 0 and outcome == "raises":
        raise ValueError("in the child")
    if child == 0 and outcome == "exits":
        sys.exit(3)
    if child == 0:
        return "child", 0
    return "parent", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("start", WAYS)
@pytest.mark.parametrize(("outcome", "code"), [("returns", 0), ("raises", 1), ("exits", 3)])
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded")
def test_a_child_that_a_task_forks_is_no_worker(start: str, outcome: str, code: int) -> None:
    with ProcessPoolExecutor(1, start=start) as pool:
        assert pool.submit(forks, outcome).result() == ("parent", code)
        assert list(pool.map(forks, [outcome] * 3)) == [("parent", code)] * 3
        assert pool.submit(abs, -1).result() == 1
        assert pool.stats().workers == 1


LEAVES_A_PROGRAM = """
import os, signal, subprocess, sys, time
from raddle.futures import ProcessPoolExecutor

def start_program():
    return subprocess.Popen(["sleep", "600"]).pid

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, start=sys.argv[1])
    print(pool.submit(start_program).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("start", WAYS)
def test_what_a_task_has_started_ends_with_a_parent_that_is_killed(tmp_path: Path, start: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(LEAVES_A_PROGRAM))
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, str(script), start], stdout=subprocess.PIPE, text=True, timeout=60
        )
        assert done.returncode == -signal.SIGKILL
        program = int(done.stdout)
        deadline = time.monotonic() + 20
        while is_alive(program):
            assert time.monotonic() < deadline, "it has outlived the parent"
            time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
