"""What it costs to have worker processes: the first result, later pools, memory and processor time at rest.

Each sample is a program of its own (``program.py``), as what a start costs depends on all that went before.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from benches.harness import Clock
from benches.processes.arrays import has_numpy
from benches.processes.pools import Pool
from benches.processes.rivals import programs, side
from benches.results import Row
from benches.run import Bench

PROGRAM = Path(__file__).with_name("program.py")
#: By the rival's key, what ``program.py`` calls it.
RIVALS = {"stdlib": "forkserver", "loky": "loky"}
LIMIT = 60.0


def starting(bench: Bench) -> Iterator[Row]:
    """From making a pool to its first result: a program's first pool, one whose workers have numpy, a later one."""
    for what, name, title in (
        ("first", "process-start-cold", "first pool to its first result"),
        ("numpy", "process-start-numpy", "the same with numpy"),
        ("later", "process-start-later", "a later pool to its first result"),
    ):
        if what != "numpy" or has_numpy():
            yield from _programs(bench, name, title, _figure(what))
    yield from _programs(bench, "process-start-program", "a whole program with one task", _whole)


def batches(bench: Bench) -> Iterator[Row]:
    """Twenty pools, one after the other."""
    yield from _programs(
        bench, "process-batches", "twenty pools of twenty tasks", _figure("batches"), repeats=3
    )


def memory(bench: Bench) -> Iterator[Row]:
    """Private bytes of eight idle workers with numpy, and of the processes that tend them."""
    if has_numpy():
        title = "private memory of 8 idle workers with numpy"
        for row in _programs(bench, "process-memory", title, _figure("memory"), repeats=3):
            yield in_unit(row, "MB", 1e3)  # rows count thousands


def idle(bench: Bench) -> Iterator[Row]:
    """Processor milliseconds of a program and its workers in a second without work; both are to be nothing."""
    values = {
        library: statistics.median(_figure("idle")(library)() for _ in range(bench.repeats(3))) / 1e6
        for library in (RIVALS["stdlib"], _candidate(bench))
    }
    theirs, ours = values[RIVALS["stdlib"]], values[_candidate(bench)]
    title = "processor time of an idle pool in 1 s"
    yield Row("process-idle", title, "ms", 1, ours, baseline=bench.peer.name, baseline_value=theirs)


def replacement(bench: Bench) -> Iterator[Row]:
    """From the death of a pool's only worker, which had no task, to the result of another."""
    ours = side(bench.candidate)
    if _candidate(bench) != "raddle":
        return  # the stdlib's pool breaks
    with closing(ours.start(1)) as pool:
        samples = [_replacement(pool) for _ in range(bench.repeats(15))]
    yield Row(
        "process-replacement",
        "death of a worker to its successor's first result",
        "ms",
        1,
        statistics.median(samples) / 1e6,
        repeats=len(samples),
    )


def in_unit(row: Row, unit: str, divisor: float) -> Row:
    """Returns a row with its values in another unit."""
    assert row.baseline_value is not None
    return replace(row, unit=unit, value=row.value / divisor, baseline_value=row.baseline_value / divisor)


def _replacement(pool: Pool) -> int:
    victim = pool.call(os.getpid)
    time.sleep(0.05)
    began = time.perf_counter_ns()
    os.kill(victim, signal.SIGKILL)
    successor = pool.call(os.getpid)
    spent = time.perf_counter_ns() - began
    assert successor != victim
    return spent


def _candidate(bench: Bench) -> str:
    kind = bench.candidate.futures.ProcessPoolExecutor
    return "raddle" if kind.__module__ == "raddle.futures" else RIVALS["stdlib"]


def _programs(
    bench: Bench, name: str, title: str, measure: Callable[[str], Clock], *, repeats: int = 9
) -> Iterator[Row]:
    return programs(bench, name, title, measure, rivals=RIVALS, candidate=_candidate(bench), repeats=repeats)


def _figure(what: str) -> Callable[[str], Clock]:
    """Makes what makes the measurement of a library."""
    return lambda library: lambda: int(_run(library, what))


def _whole(library: str) -> Clock:
    def clock() -> int:
        began = time.perf_counter_ns()
        _run(library, "first")
        return time.perf_counter_ns() - began

    return clock


def _run(library: str, what: str) -> str:
    command = [sys.executable, str(PROGRAM), library, what]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT).stdout
