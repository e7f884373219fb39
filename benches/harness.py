"""Samples two callables in turn and says how many times faster the second one is.

The two run alternately, A B A B, in one process, so that a machine whose speed drifts slows both. Each pair
gives one ratio; the median of these ratios is the figure, and the quartiles are its spread. Before every
sample the garbage collector has just made a full collection, and it is left as the interpreter sets it, so
that both sides start from the same state and pay for the garbage they make.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Work = Callable[[], object]
#: Returns nanoseconds: a clock's reading, or a figure that a piece of work took of itself.
Clock = Callable[[], int]


@dataclass(frozen=True)
class Pairs:
    """Nanoseconds of two sides sampled in turn: ``baseline[i]`` ran just before ``candidate[i]``."""

    baseline: tuple[int, ...]
    candidate: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.baseline) != len(self.candidate) or not self.baseline:
            raise ValueError(f"samples come in pairs, not {len(self.baseline)} against {len(self.candidate)}")

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times faster the candidate was, pair by pair."""
        return tuple(a / b for a, b in zip(self.baseline, self.candidate, strict=True))

    @property
    def ratio(self) -> float:
        """The median of the paired ratios."""
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and the third quartile of the paired ratios."""
        return quartiles(self.ratios)

    def per_operation(self, operations: int) -> tuple[float, float]:
        """The median time of one operation on each side, in microseconds."""
        return (
            statistics.median(self.baseline) / operations / 1000,
            statistics.median(self.candidate) / operations / 1000,
        )


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Returns the first and the third quartile; a single value is both."""
    if len(values) == 1:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


def sample(work: Work, clock: Clock = time.perf_counter_ns) -> int:
    """Runs ``work`` once, from a freshly collected heap, and returns the nanoseconds it took."""
    gc.collect()
    started = clock()
    work()
    return clock() - started


def rotate(
    works: Sequence[Work], *, repeats: int, warmups: int = 1, clock: Clock = time.perf_counter_ns
) -> list[tuple[int, ...]]:
    """Samples several callables in rotation.

    Args:
        works: what is timed, in the order of a round.
        repeats: counted rounds.
        warmups: rounds that run first and are not counted.
        clock: a monotonic clock in nanoseconds.

    Returns:
        The samples of each callable, in nanoseconds, a round at each position.
    """
    for _ in range(warmups):
        for work in works:
            work()
    rounds = [[sample(work, clock) for work in works] for _ in range(repeats)]
    return list(zip(*rounds, strict=True))


def in_turn(
    baseline: Work, candidate: Work, *, repeats: int, warmups: int = 1, clock: Clock = time.perf_counter_ns
) -> Pairs:
    """Samples two sides alternately; the arguments are those of :func:`rotate`.

    Raises:
        ValueError: without at least one counted pair.
    """
    samples = rotate([baseline, candidate], repeats=repeats, warmups=warmups, clock=clock)
    return Pairs(*samples) if samples else Pairs((), ())


def figures_in_turn(baseline: Clock, candidate: Clock, *, repeats: int, warmups: int = 1) -> Pairs:
    """Pairs figures that two sides take of themselves, alternately: the longest of many waits, for instance.

    Args:
        baseline: runs once and returns nanoseconds.
        candidate: likewise.
        repeats: counted rounds.
        warmups: rounds that run first and are not counted.
    """
    rounds = []
    for _ in range(warmups + repeats):
        pair = []
        for figure in (baseline, candidate):
            gc.collect()
            pair.append(figure())
        rounds.append(pair)
    theirs, ours = zip(*rounds[warmups:], strict=True)
    return Pairs(theirs, ours)


def costs(samples: Sequence[Sequence[int]], operations: Sequence[int]) -> list[float]:
    """Compares the time per operation across callables that were sampled in rotation.

    Args:
        samples: of each callable, as :func:`rotate` returns them.
        operations: that one sample of each callable does.

    Returns:
        For each callable, the median over the rounds of its time per operation, in that of the first callable in the
        same round: a machine that is slower in one round is slower for all.
    """
    first = [nanoseconds / operations[0] for nanoseconds in samples[0]]
    return [
        statistics.median(
            nanoseconds / count / unit for nanoseconds, unit in zip(measured, first, strict=True)
        )
        for measured, count in zip(samples, operations, strict=True)
    ]
