"""No-ops: all before the first result, one after the other, after pauses, beside a busy machine, from eight threads."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from benches.crew import Crew
from benches.harness import in_turn
from benches.processes.jobs import hold, nothing
from benches.processes.pools import Pool
from benches.processes.rivals import compare, compare_figures, side
from benches.results import Row
from benches.run import WORKERS, Bench, row_of

THREADS = 8
#: Four for each of two processors.
HOGS = 8
PAUSE = 0.001


def submit_all(bench: Bench) -> Iterator[Row]:
    """All tasks are queued before the first result is asked for."""
    yield from compare(
        bench,
        "process-submit-all",
        "no-op tasks, submit all then collect",
        Pool.flood,
        operations=bench.size(20_000),
        rivals={"stdlib": 10, "pool": 4, "loky": 10, "pebble": 10, "mpire": 20, "zooparallel": 2},
    )


def one_at_a_time(bench: Bench) -> Iterator[Row]:
    """Each result is asked for before the next task is submitted: the round trip between two processes."""
    yield from compare(
        bench,
        "process-one-at-a-time",
        "no-op tasks, one at a time",
        _round_trips,
        operations=bench.size(5_000),
        rivals={"stdlib": 10, "pool": 5, "loky": 10, "pebble": 10, "mpire": 50, "zooparallel": 2},
    )


def after_pauses(bench: Bench) -> Iterator[Row]:
    """The same after a millisecond in which nobody has anything to do: workers and processors have gone to sleep."""
    yield from compare_figures(
        bench,
        "process-paused",
        "no-op tasks, one every millisecond",
        _paused_round_trips,
        operations=bench.size(300),
        rivals={"stdlib": 1, "pool": 1, "loky": 1, "pebble": 1, "zooparallel": 1},
    )


def beside_hogs(bench: Bench) -> Iterator[Row]:
    """Round trips and short tasks while other processes want four times as many processors as there are."""
    with _hogs():
        yield from compare(
            bench,
            "process-hogs-one",
            f"no-op tasks, one at a time, {HOGS} processes hogging",
            _round_trips,
            operations=bench.size(200),
            rivals={"stdlib": 1},
        )
        yield from compare(
            bench,
            "process-hogs-100us",
            f"tasks of 100 µs, {HOGS} processes hogging",
            _short_tasks,
            operations=bench.size(2_000),
            rivals={"stdlib": 2},
            repeats=5,
        )


def eight_threads(bench: Bench) -> Iterator[Row]:
    """Eight threads share the submitting of as many tasks as one thread submits alone."""
    count = bench.size(20_000)
    with ExitStack() as stack:
        pool = stack.enter_context(closing(side(bench.candidate).start(WORKERS))).warmed(WORKERS)
        one = stack.enter_context(closing(Crew([partial(pool.flood, count)])))
        eight = stack.enter_context(closing(Crew([partial(pool.flood, max(1, count // THREADS))] * THREADS)))
        pairs = in_turn(one.run, eight.run, repeats=bench.repeats())
    yield row_of(pairs, "process-eight-threads", "eight threads submitting, against one", count, "one thread")


def _round_trips(pool: Pool, count: int) -> None:
    call = pool.call
    for _ in range(count):
        call(nothing)


def _paused_round_trips(pool: Pool, count: int) -> int:
    """Returns the nanoseconds of the round trips without the pauses."""
    call, clock = pool.call, time.perf_counter_ns
    spent = 0
    for _ in range(count):
        time.sleep(PAUSE)
        started = clock()
        call(nothing)
        spent += clock() - started
    return spent


def _short_tasks(pool: Pool, count: int) -> None:
    pool.spread(hold, [1e-4] * count)


@contextmanager
def _hogs() -> Iterator[None]:
    command = [sys.executable, "-S", "-c", "while True: pass"]
    with ExitStack() as stack:
        for _ in range(HOGS):
            hog = stack.enter_context(subprocess.Popen(command))
            stack.callback(hog.kill)
        yield
