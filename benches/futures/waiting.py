"""Waiting for many futures: ``as_completed``, and ``wait(FIRST_COMPLETED)`` until none is left.

The submission is part of the time, as it is in a program. Each is measured at several numbers of futures: a
walk over all of them at each completion would show as a time per future that grows with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor

from benches.futures.jobs import nothing
from benches.results import Row
from benches.run import Bench, Point, SideWork, growth, series
from benches.sides import Side


def as_completed(bench: Bench) -> Iterator[Row]:
    """``as_completed`` over 1,000, 10,000 and 100,000 tasks."""

    def consuming(count: int) -> SideWork:
        def consume(side: Side, pool: Executor) -> None:
            submit = pool.submit
            for future in side.as_completed([submit(nothing) for _ in range(count)]):
                future.result()

        return consume

    yield from _series(bench, "as-completed", "as_completed over {:,} tasks", consuming, 100_000)


def first_completed(bench: Bench) -> Iterator[Row]:
    """``wait(FIRST_COMPLETED)`` in a loop until all are done."""

    def looping(count: int) -> SideWork:
        def loop(side: Side, pool: Executor) -> None:
            submit = pool.submit
            pending = {submit(nothing) for _ in range(count)}
            while pending:
                pending = side.first_completed(pending)

        return loop

    yield from _series(
        bench, "first-completed", "wait(FIRST_COMPLETED) in a loop, {:,} tasks", looping, 10_000
    )


def _series(
    bench: Bench, name: str, title: str, working: Callable[[int], SideWork], largest: int
) -> Iterator[Row]:
    """Measures 1,000, 10,000 and so on up to ``largest`` tasks; the row of 10,000 has the bare name."""
    points = []
    for count in (1_000, 10_000, 100_000):
        rounds = max(1, bench.size(10_000) // count)
        row = name if count == 10_000 else f"{name}-{count}"
        points.append(Point(row, title.format(count), repeated(working(count), rounds), rounds * count))
        if count == largest:
            break
    rows = series(bench, points, repeats=7)
    yield from rows
    yield growth(f"{name}-linear", f"the same, {largest:,} against the fastest", rows)


def repeated(work: SideWork, rounds: int) -> SideWork:
    """Makes one sample of ``rounds`` runs, so that a short piece of work is timed over a longer stretch."""

    def again(side: Side, pool: Executor) -> None:
        for _ in range(rounds):
            work(side, pool)

    return again
