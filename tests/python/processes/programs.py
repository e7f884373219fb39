"""Whole programs with process pools, each in an interpreter of its own, of which nothing may be left in the end.

A program prints what it got. It must not begin a second time in a worker: each says `begun`, and that is said once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from tests.python.processes.support import until

LIMIT = 60.0
HEAD = """
import os
import sys
from raddle.futures import ProcessPoolExecutor
print("begun", flush=True)
"""


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    stdin: str | None = None,
    options: Sequence[str] = (),
) -> list[str]:
    """Run a program in a session of its own; return the lines that it printed after `begun`.

    Fails when it hangs, fails, writes to its standard error, begins twice or leaves processes behind.
    """
    program = subprocess.Popen(
        [sys.executable, *options, *command],
        cwd=cwd,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = program.communicate(stdin, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        end_session(program.pid)
        out, err = program.communicate()
        raise AssertionError(f"the program hung\nout: {out}\nerr: {err}") from None
    try:
        until(lambda: not session(program.pid))
    finally:
        end_session(program.pid)
    assert (program.returncode, err) == (0, ""), f"out: {out}\nerr: {err}"
    lines = out.splitlines()
    assert lines.count("begun") == 1, out
    return [line for line in lines if line != "begun"]


def session(leader: int) -> list[int]:
    """Return the living processes of a session; workers lead process groups of their own, but stay in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = entry.joinpath("stat").read_text("ascii").rpartition(")")[2].split()
            except (OSError, UnicodeDecodeError):
                continue
            if int(fields[3]) == leader and fields[0] not in "ZX":
                found.append(int(entry.name))
    return found


def end_session(leader: int) -> None:
    for process in session(leader):
        try:
            os.kill(process, 9)
        except ProcessLookupError:
            pass


def script(folder: Path, source: str, name: str = "script.py") -> Path:
    """Write a program without a guard, which begins with `HEAD`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + textwrap.dedent(source), encoding="utf-8")
    return path
