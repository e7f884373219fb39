"""The program that measures one side's memory: ``python -m benches.futures.queued SIDE TASKS``.

The workers are blocked, so that every task stays queued, and the caller holds every future, as one who will
collect the results does. Prints the growth of the process for each task, in bytes.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from pathlib import Path

from benches import sides
from benches.futures.jobs import nothing
from benches.run import WORKERS

SIDES = {"stdlib": sides.stdlib, "raddle": sides.raddle, "again": sides.stdlib_again}


def resident_bytes() -> int:
    """Returns the process's resident set size in bytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def bytes_per_queued_task(side: sides.Side, count: int) -> float:
    """Queues ``count`` tasks behind blocked workers; returns the process's growth for each, in bytes."""
    gate = threading.Event()
    blocked = threading.Barrier(WORKERS + 1)

    def block() -> None:
        blocked.wait()
        gate.wait()

    with side.pool(WORKERS) as pool:
        for _ in range(WORKERS):
            pool.submit(block)
        blocked.wait()
        held: list[object] = [0] * count
        gc.collect()
        before = resident_bytes()
        for index in range(count):
            held[index] = pool.submit(nothing)
        gc.collect()
        grown = resident_bytes() - before
        gate.set()
        pool.shutdown(wait=True, cancel_futures=True)
    return grown / count


if __name__ == "__main__":
    print(bytes_per_queued_task(SIDES[sys.argv[1]](), int(sys.argv[2])))
