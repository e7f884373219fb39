"""Memory of a queued task: how much the process grows by a million of them.

Each side has a fresh process of its own (``queued.py``), because freed memory that an allocator keeps would
hide what the second side needs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benches.results import Row
from benches.run import Bench

PROJECT = Path(__file__).parents[2]


def memory(bench: Bench) -> Iterator[Row]:
    """Bytes of resident memory for each queued task."""
    count = bench.size(1_000_000)
    repeats = bench.repeats(2)
    theirs, ours = [], []
    for _ in range(repeats):
        theirs.append(_in_subprocess(bench.peer.name, count))
        ours.append(_in_subprocess(bench.candidate.name, count))
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    yield Row(
        name="memory",
        title=f"memory per queued task, {count:,} queued",
        unit="B",
        operations=count,
        value=statistics.median(ours),
        baseline=bench.peer.name,
        baseline_value=statistics.median(theirs),
        ratio=statistics.median(ratios),
        spread=(min(ratios), max(ratios)),
        repeats=repeats,
    )


def _in_subprocess(side: str, count: int) -> float:
    command = [sys.executable, "-m", "benches.futures.queued", side, str(count)]
    finished = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True)
    return float(finished.stdout)
