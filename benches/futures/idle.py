"""Processor time of a pool that has nothing to do."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benches.results import Row
from benches.run import Bench
from benches.sides import Side

WORKERS = 64
SECONDS = 1.0


def idle(bench: Bench) -> Iterator[Row]:
    """Processor milliseconds of the whole process during one second in which 64 warm workers wait for work.

    There is no ratio: both figures are to be nothing, and the quotient of two nothings says nothing.
    """
    theirs, ours = idle_milliseconds(bench.peer), idle_milliseconds(bench.candidate)
    yield Row(
        name="idle",
        title=f"processor time of {WORKERS} idle workers in {SECONDS:g} s",
        unit="ms",
        operations=1,
        value=ours,
        baseline=bench.peer.name,
        baseline_value=theirs,
    )


def idle_milliseconds(side: Side) -> float:
    """Returns the process's processor time, in milliseconds, over a second with an idle pool of ``side``."""
    with side.pool(WORKERS):
        time.sleep(SECONDS / 10)  # the workers' way back to waiting is not idleness
        before = time.process_time_ns()
        time.sleep(SECONDS)
        return (time.process_time_ns() - before) / 1e6
