"""What a workload is given: the two sides, the size of the run, and one way to compare."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from benches.harness import Clock, Pairs, Work, costs, figures_in_turn, in_turn, rotate
from benches.results import Row
from benches.sides import Side

Mode = Literal["quick", "standard", "full"]
#: What a workload does on one side's pool. It is timed from the call to the return.
SideWork = Callable[[Side, Executor], object]
#: Makes what is timed on one side; what has to be ended afterwards goes onto the stack.
Preparation = Callable[[Side, ExitStack], Work]
#: Makes what is run on one side and says itself how many nanoseconds count.
Measurement = Callable[[Side, ExitStack], Clock]

WORKERS = 2
REPEATS = 9
QUICK_REPEATS = 5


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark: who is compared, and how thoroughly.

    Attributes:
        peer: the standard library.
        candidate: Raddle.
        mode: how thoroughly.
        rivals: the keys of those that are met where an area has several rivals; None for all that are there.
    """

    peer: Side
    candidate: Side
    mode: Mode = "standard"
    rivals: Collection[str] | None = None

    def size(self, operations: int) -> int:
        """Returns the number of operations for this run: a tenth of ``operations`` when it is quick."""
        return max(1, operations // 10) if self.mode == "quick" else operations

    def repeats(self, standard: int = REPEATS) -> int:
        """Returns how many pairs to count where a standard run counts ``standard``."""
        return min(standard, QUICK_REPEATS) if self.mode == "quick" else standard

    def compare(
        self,
        name: str,
        title: str,
        work: SideWork,
        *,
        operations: int,
        workers: int = WORKERS,
        repeats: int = REPEATS,
    ) -> Row:
        """Times ``work`` on a warm pool of each side, in turn.

        Args:
            name: the row's stable id.
            title: the row's words.
            work: does ``operations`` operations on the side and the pool that it is given.
            operations: what the time is divided by.
            workers: threads of each pool.
            repeats: counted pairs in a standard run.
        """

        def prepare(side: Side, stack: ExitStack) -> Work:
            return partial(work, side, stack.enter_context(side.pool(workers)))

        return self.contest(name, title, prepare, operations=operations, repeats=repeats)

    def contest(
        self, name: str, title: str, prepare: Preparation, *, operations: int, repeats: int = REPEATS
    ) -> Row:
        """Times what ``prepare`` makes for each side, in turn.

        Args:
            name: the row's stable id.
            title: the row's words.
            prepare: is called once for each side, before the clock runs.
            operations: that one sample does; the time is divided by it.
            repeats: counted pairs in a standard run.
        """
        with ExitStack() as stack:
            works = [prepare(side, stack) for side in (self.peer, self.candidate)]
            pairs = in_turn(*works, repeats=self.repeats(repeats))
        return row_of(pairs, name, title, operations, self.peer.name)

    def figure(self, name: str, title: str, prepare: Measurement, *, repeats: int = REPEATS) -> Row:
        """Compares times that the work takes by itself, the longest wait for instance; arguments as for contest."""
        with ExitStack() as stack:
            works = [prepare(side, stack) for side in (self.peer, self.candidate)]
            pairs = figures_in_turn(*works, repeats=self.repeats(repeats))
        return row_of(pairs, name, title, 1, self.peer.name)


Workload = Callable[[Bench], Iterator[Row]]


def row_of(pairs: Pairs, name: str, title: str, operations: int, baseline: str) -> Row:
    """Makes a row of times per operation from the samples of two sides."""
    baseline_value, value = pairs.per_operation(operations)
    return Row(
        name=name,
        title=title,
        unit="µs",
        operations=operations,
        value=value,
        baseline=baseline,
        baseline_value=baseline_value,
        ratio=pairs.ratio,
        spread=pairs.spread,
        repeats=len(pairs.baseline),
    )


@dataclass(frozen=True)
class Point:
    """One point of a series.

    Attributes:
        name: its row's stable id.
        title: its row's words.
        work: what is timed, on either side.
        operations: that one sample does.
        workers: threads of its pools.
    """

    name: str
    title: str
    work: SideWork
    operations: int
    workers: int = WORKERS


def series(bench: Bench, points: Sequence[Point], repeats: int) -> list[Row]:
    """Measures the points of a series in rotation, both sides of each in turn: a row for each point.

    A machine whose speed drifts slows all points of a round, so that drift does not look like a slope. The times are
    therefore those of the first point, multiplied by what each point costs in comparison within a round.

    Args:
        bench: the run.
        points: what is compared, the first being the unit.
        repeats: counted rounds in a standard run.
    """
    with ExitStack() as stack:
        works: list[Work] = []
        for point in points:
            for side in (bench.peer, bench.candidate):
                pool = stack.enter_context(side.pool(point.workers))
                works.append(partial(point.work, side, pool))
        samples = rotate(works, repeats=bench.repeats(repeats))
    operations = [point.operations for point in points]
    theirs, ours = samples[0::2], samples[1::2]
    their_costs, our_costs = costs(theirs, operations), costs(ours, operations)
    rows = []
    for index, point in enumerate(points):
        row = row_of(
            Pairs(theirs[index], ours[index]), point.name, point.title, point.operations, bench.peer.name
        )
        baseline_unit, unit = Pairs(theirs[0], ours[0]).per_operation(operations[0])
        baseline_value, value = baseline_unit * their_costs[index], unit * our_costs[index]
        rows.append(replace(row, baseline_value=baseline_value, value=value))
    return rows


def evenness(name: str, title: str, rows: Sequence[Row]) -> Row:
    """Says how flat a series is: the time of its fastest point over that of its slowest, 1 when flat.

    Args:
        name: the row's stable id.
        title: the row's words.
        rows: the series.
    """
    return _against(name, title, rows, max(rows, key=lambda row: row.value))


def growth(name: str, title: str, rows: Sequence[Row]) -> Row:
    """Says what size costs: the time of the fastest point over that of the last; arguments as for evenness."""
    return _against(name, title, rows, rows[-1])


def _against(name: str, title: str, rows: Sequence[Row], judged: Row) -> Row:
    best = min(row.value for row in rows)
    return Row(
        name=name,
        title=title,
        unit=judged.unit,
        operations=judged.operations,
        value=judged.value,
        baseline="fastest point",
        baseline_value=best,
        ratio=best / judged.value,
        repeats=judged.repeats,
    )
