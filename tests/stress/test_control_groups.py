"""Limits of a control group, reached: of memory, where a worker is killed and the error says so; of processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.python.futures.support import run_program, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@contextlib.contextmanager
def group(controller: str, limits: dict[str, int]) -> Iterator[Path]:
    """A control group with these limits; skips the test where this process may make none."""
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()]
    path = next((path for _, names, path in own if controller in names.split(",")), None)
    if path is None:
        pytest.skip(f"no control groups of version 1 with the controller {controller}")
    made = Path(f"/sys/fs/cgroup/{controller}{path}") / f"raddle-test-{os.getpid()}"
    try:
        made.mkdir()
        for name, limit in limits.items():
            (made / name).write_text(str(limit))
    except OSError as error:
        with contextlib.suppress(OSError):
            made.rmdir()
        pytest.skip(f"control groups can't be made here: {error}")
    try:
        yield made
    finally:
        until(lambda: not (made / "cgroup.procs").read_text())
        made.rmdir()


JOIN = """
import os, sys
open({path!r}, "w").write(str(os.getpid()))
from raddle import WorkerDied
from raddle.futures import ProcessPoolExecutor
"""

OUT_OF_MEMORY = (
    JOIN
    + """
def devour():
    hoard = []
    while True:
        hoard.append(bytearray(b"x") * (16 << 20))

with ProcessPoolExecutor(1) as pool:
    assert pool.submit(abs, -1).result(60) == 1
    error = pool.submit(devour).exception(120)
    assert isinstance(error, WorkerDied), error
    print(error.oom, error.signal, "out of memory" in str(error))
    assert pool.submit(abs, -2).result(60) == 2
"""
)


def test_a_worker_that_the_system_kills_for_want_of_memory_is_told() -> None:
    with group("memory", {"memory.limit_in_bytes": 256 << 20}) as made:
        ended = run_program(OUT_OF_MEMORY.format(path=str(made / "cgroup.procs")))
        assert ended.code == 0, ended
        assert ended.out.split() == ["True", "SIGKILL", "True"], ended


TOO_MANY = (
    JOIN
    + """
pool = ProcessPoolExecutor(4)
errors = [future.exception(60) for future in [pool.submit(abs, -n) for n in range(20)]]
pool.shutdown()
print(all("pids.max" in str(error) for error in errors if error), sum(error is None for error in errors))
"""
)


@pytest.mark.parametrize("room", [3, 8])
def test_tasks_end_where_no_further_process_may_be_made(room: int) -> None:
    with group("pids", {"pids.max": room}) as made:
        ended = run_program(TOO_MANY.format(path=str(made / "cgroup.procs")))
        assert ended.code == 0, ended
        named, done = ended.out.split()
        assert (named, done) in (("True", "0"), ("True", "20")), ended
