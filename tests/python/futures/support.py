"""What the tests of `raddle.futures` share: gates for tasks, deadline loops, programs of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LONG = 60.0
"""Seconds after which something that must happen counts as never happening; generous, for slow machines."""

LEAVING = 10.0
"""Seconds within which a process that has closed its streams is gone."""


def until(condition: Callable[[], object], seconds: float = LONG) -> None:
    """Return once `condition()` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        pause.wait(0.001)


def until_asleep(thread: threading.Thread) -> None:
    """Return once a thread waits for something that the caller has not given it yet.

    While `until` pauses, the interpreter's lock is free and so is a processor now and then: a thread that could go on
    would. So one that neither ran nor woke between many looks is at its end, which is here a wait in native code.
    """
    status = Path(f"/proc/self/task/{thread.native_id}/status")
    looks: deque[list[str]] = deque(maxlen=20)

    def at_rest() -> bool:
        lines = status.read_text(encoding="ascii").splitlines()
        looks.append([line for line in lines if line.startswith(("State:", "voluntary", "nonvoluntary"))])
        calm = len(looks) == looks.maxlen and all(look == looks[0] for look in looks)
        return calm and looks[0][0].startswith("State:\tS")

    until(at_rest)


class Gate:
    """A task that says that it runs, and ends when it is told to."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, value: object = None) -> object:
        self.entered.set()
        assert self.opened.wait(LONG), "nobody opened the gate"
        return value

    def await_entry(self) -> None:
        assert self.entered.wait(LONG), "nobody entered the gate"

    def open(self) -> None:
        self.opened.set()


@dataclass(frozen=True)
class Ended:
    """How a program ended: exit code (negative for a signal), what it wrote, seconds since the interrupt."""

    code: int
    out: str
    err: str
    seconds: float


def run_program(
    source: str, *, interrupts: int = 0, options: tuple[str, ...] = (), timeout: float = 100.0
) -> Ended:
    """Run Python source in an interpreter of its own, in a process group of its own.

    Args:
        source: the program; it is dedented.
        interrupts: how many SIGINT it gets, each when it prints a line `ready`.
        options: for the interpreter.
        timeout: seconds until the group is killed and the test fails.

    Returns:
        How it ended. Nothing of its process group is left then.
    """
    environment = {**os.environ, "PYTHONFAULTHANDLER": "0", "PYTHONUNBUFFERED": "1"}
    # The program gets the signal even where the test run ignores it, in the background for instance.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        program = subprocess.Popen(
            [sys.executable, *options, "-c", textwrap.dedent(source)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    expired = threading.Event()

    def kill() -> None:
        expired.set()
        os.killpg(program.pid, signal.SIGKILL)

    watchdog = threading.Timer(timeout, kill)
    watchdog.start()
    assert program.stdout is not None
    out = ""
    start = time.monotonic()
    try:
        while interrupts and (line := program.stdout.readline()):
            out += line
            if line.strip() == "ready":
                interrupts -= 1
                start = time.monotonic()
                program.send_signal(signal.SIGINT)
        rest, err = program.communicate()
        seconds = time.monotonic() - start
    finally:
        watchdog.cancel()
        watchdog.join()
    out += rest
    assert not expired.is_set(), f"the program hung\nout: {out}\nerr: {err}"
    assert not interrupts, f"the program ended before it was ready\nout: {out}\nerr: {err}"
    deadline = time.monotonic() + LEAVING
    while group_exists(program.pid):
        if time.monotonic() > deadline:
            os.killpg(program.pid, signal.SIGKILL)
            raise AssertionError(f"the program left processes behind\nout: {out}\nerr: {err}")
        time.sleep(0.001)
    return Ended(program.returncode, out, err, seconds)


def group_exists(group: int) -> bool:
    """Whether a process group has a member."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
