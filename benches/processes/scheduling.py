"""Work of a known length, held against the best that two workers could do with it."""

from __future__ import annotations

import heapq
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial

from benches.harness import Pairs, rotate
from benches.processes.jobs import compute, hold
from benches.processes.pools import Pool
from benches.processes.rivals import compare, side
from benches.results import Row
from benches.run import REPEATS, WORKERS, Bench, row_of

SHORT = 1e-4
#: Seconds of the longest of the mixed tasks, and of all of them together.
LONGEST, TOTAL = 1.0, 5.0


def short_tasks(bench: Bench) -> Iterator[Row]:
    """Tasks of 100 µs on two workers, against half of their sum, and against the rivals.

    A task that watches the clock ends in time although its worker was held up; one that computes does not, so it also
    pays for the processor that the parent takes. What two workers make of the latter by themselves is measured: the
    same work handed out as one task for each.
    """
    count = bench.size(10_000)
    rounds = _rounds_in(SHORT)
    with ExitStack() as stack:
        pool = stack.enter_context(closing(side(bench.candidate).start(WORKERS))).warmed(WORKERS)
        spread = partial(pool.spread, hold, [SHORT] * count)
        yield _against_ideal(
            bench,
            "process-100us",
            "tasks of 100 µs, against half their sum",
            spread,
            SHORT * count / WORKERS,
            count,
        )
        whole = partial(pool.spread, compute, [rounds * count // WORKERS] * WORKERS)
        parts = partial(pool.spread, compute, [rounds] * count)
        ideal, ours = rotate([whole, parts], repeats=bench.repeats(REPEATS))
        title = "100 µs of computing, against one task a worker"
        yield row_of(Pairs(ideal, ours), "process-100us-computing", title, count, "one task a worker")
    yield from compare(
        bench,
        "process-100us",
        "tasks of 100 µs",
        lambda pool, count: pool.spread(hold, [SHORT] * count),
        operations=bench.size(5_000),
        rivals={"stdlib": 2, "pool": 1, "loky": 2, "pebble": 2},
        repeats=5,
    )


def mixed_tasks(bench: Bench) -> Iterator[Row]:
    """``map`` over tasks from 100 µs on with a heavy tail, against greedy list scheduling without any overhead."""
    durations = mixed_durations(bench.size(round(TOTAL * 1_000)) / 1_000)
    ideal = makespan(durations, WORKERS)

    def consume(pool: Pool, _: int) -> None:
        pool.map(hold, durations)

    with closing(side(bench.candidate).start(WORKERS)) as pool:
        work = partial(consume, pool.warmed(WORKERS), 0)
        title = "map of 0.1 ms to 1 s, against greedy scheduling"
        yield _against_ideal(bench, "process-mixed", title, work, ideal, len(durations), repeats=3)
    yield from compare(
        bench,
        "process-mixed",
        "map of 0.1 ms to 1 s",
        consume,
        operations=len(durations),
        rivals={"stdlib": 1, "pool": 1, "joblib": 1, "mpire": 1},
        repeats=3,
    )


def mixed_durations(total: float) -> Sequence[float]:
    """Draws seconds that add up to ``total``, the same at every call: most are short, a few make up half of the sum."""
    draw = random.Random(3)
    found: list[float] = []
    left = total
    while left > 0:
        found.append(min(SHORT * draw.paretovariate(0.6), LONGEST * total / TOTAL, left))
        left -= found[-1]
    return found


def makespan(durations: Sequence[float], workers: int) -> float:
    """Returns when the last of the tasks ends if each, in this order, goes to whoever is free first (Graham 1966)."""
    free = [0.0] * workers
    for seconds in durations:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def _against_ideal(
    bench: Bench,
    name: str,
    title: str,
    work: partial[object],
    ideal: float,
    operations: int,
    repeats: int = REPEATS,
) -> Row:
    (samples,) = rotate([work], repeats=bench.repeats(repeats))
    pairs = Pairs((round(ideal * 1e9),) * len(samples), samples)
    return row_of(pairs, name, title, operations, "ideal")


def _rounds_in(seconds: float) -> int:
    """Returns how far ``compute`` counts in so many seconds."""
    rounds = 100_000
    samples = []
    for _ in range(9):
        started = time.perf_counter()
        compute(rounds)
        samples.append(time.perf_counter() - started)
    return max(1, round(rounds * seconds / statistics.median(samples)))
