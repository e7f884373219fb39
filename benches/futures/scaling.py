"""Does the throughput stay flat: from 1 to 1,000 workers, and from 10 to 10,000,000 tasks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial

from benches.futures.jobs import submit_then_collect
from benches.futures.waiting import repeated
from benches.harness import costs, rotate
from benches.results import Row
from benches.run import WORKERS, Bench, Point, SideWork, evenness, growth, series
from benches.sides import Side

WORKER_COUNTS = (1, 2, 10, 100, 1_000)
TASK_COUNTS = (10, 100, 1_000, 10_000, 100_000)
FLOODS = (1_000_000, 10_000_000)


def submitting(count: int) -> SideWork:
    """Makes the work of submitting and collecting ``count`` tasks."""

    def work(_: Side, pool: Executor) -> None:
        submit_then_collect(pool, count)

    return work


def workers(bench: Bench) -> Iterator[Row]:
    """The same tasks on warm pools of growing size."""
    count = bench.size(40_000)
    points = [
        Point(
            f"workers-{threads}",
            f"submit all, {threads:,} worker{'s' * (threads > 1)}",
            submitting(count),
            count,
            workers=threads,
        )
        for threads in WORKER_COUNTS
    ]
    rows = series(bench, points, repeats=7)
    yield from rows
    yield evenness("workers-flat", "the same, the slowest against the fastest", rows)


def tasks(bench: Bench) -> Iterator[Row]:
    """Growing numbers of tasks queued at once; small numbers are repeated within a sample.

    Ten tasks are over before the second worker has woken: what they cost is the wake-up. Flat therefore means that the
    largest number costs no more for each task than the best.
    """
    points = []
    for count in TASK_COUNTS:
        rounds = max(1, bench.size(10_000) // count)
        work = repeated(submitting(count), rounds)
        points.append(Point(f"tasks-{count}", f"submit all, {count:,} tasks", work, rounds * count))
    rows = series(bench, points, repeats=5)
    yield from rows
    if bench.mode == "full":
        for row in _floods(bench, rows[-1]):
            rows.append(row)
            yield row
    largest = TASK_COUNTS[-1] if bench.mode != "full" else FLOODS[-1]
    yield growth("tasks-flat", f"the same, {largest:,} against the fastest", rows)


def _floods(bench: Bench, largest: Row) -> Iterator[Row]:
    """Measures the candidate only: ten million tasks of the stdlib would need more than ten gigabytes."""
    counts = (largest.operations, *FLOODS)
    with bench.candidate.pool(WORKERS) as pool:
        samples = rotate(
            [partial(submit_then_collect, pool, count) for count in counts], repeats=1, warmups=0
        )
    for count, cost in zip(counts[1:], costs(samples, counts)[1:], strict=True):
        title = f"submit all, {count:,} tasks"
        yield Row(f"tasks-{count}", title, "µs", operations=count, value=largest.value * cost)
