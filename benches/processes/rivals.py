"""Whom the process pool is held against, and how.

The stdlib's two pools are always there. The other libraries are optional (the extra ``bench-processes``, and
``bench-ray`` for ray, which is large): those that are not installed are left out, and the run says so. A row is named
for the work and the rival: ``process-map-joblib``.

Each rival is met alone, in turn with Raddle: some keep threads or daemons busy even without work. As the
libraries are tens of times apart, a slower one does fewer operations in a sample.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from benches.harness import Clock, Pairs, figures_in_turn
from benches.processes import pools
from benches.processes.pools import Pool
from benches.results import Row
from benches.run import REPEATS, WORKERS, Bench, row_of
from benches.sides import Side

T = TypeVar("T")
#: What a workload does on a pool: so many operations. It is timed from the call to the return.
PoolWork = Callable[[Pool, int], object]
#: The same, where the work says itself how many nanoseconds count.
PoolClock = Callable[[Pool, int], int]


@dataclass(frozen=True)
class Rival:
    """A library that starts worker processes.

    Attributes:
        key: the end of its rows' names.
        words: its name in the rows' titles and in the table.
        start: makes a pool of so many workers.
        library: its distribution; none for the stdlib.
    """

    key: str
    words: str
    start: Callable[[int], Pool]
    library: str = ""

    @property
    def is_installed(self) -> bool:
        """Whether it can be measured here."""
        return not self.library or importlib.util.find_spec(self.library) is not None

    @property
    def baseline(self) -> str:
        """What a row says its baseline is of."""
        return f"{self.library} {importlib.metadata.version(self.library)}" if self.library else self.words


OTHERS: Mapping[str, Rival] = {
    rival.key: rival
    for rival in (
        Rival("pool", "mp.Pool", pools.Stdlib),
        Rival("loky", "loky", pools.loky, "loky"),
        Rival("joblib", "joblib", pools.Joblib, "joblib"),
        Rival("pebble", "pebble", pools.Pebble, "pebble"),
        Rival("mpire", "mpire", pools.Mpire, "mpire"),
        Rival("zooparallel", "zooparallel", pools.zooparallel, "zooparallel"),
        Rival("ray", "ray", pools.Ray, "ray"),
    )
}


def side(of: Side) -> Rival:
    """Returns a side of the run as a rival: its ``ProcessPoolExecutor``."""
    return Rival(of.name, of.name, partial(pools.executor, of.futures.ProcessPoolExecutor))


def present(bench: Bench, wanted: Mapping[str, T]) -> list[tuple[Rival, T]]:
    """Returns those of ``wanted`` that the run can measure, with what is said of each."""
    known = {"stdlib": side(bench.peer), **OTHERS}
    return [
        (known[key], value)
        for key, value in wanted.items()
        if known[key].is_installed and (bench.rivals is None or key in bench.rivals)
    ]


def notes(bench: Bench) -> Iterator[str]:
    """Says which libraries are not measured, and how they come in."""
    absent = [rival.words for rival in OTHERS.values() if not rival.is_installed]
    if absent:
        yield f"not installed, so not measured: {', '.join(absent)} (see the extras bench-processes and bench-ray)"


def compare(
    bench: Bench,
    name: str,
    title: str,
    work: PoolWork,
    *,
    operations: int,
    rivals: Mapping[str, int],
    workers: int = WORKERS,
    repeats: int = REPEATS,
) -> Iterator[Row]:
    """Times ``work`` on a warm pool of each library, a row for each rival.

    Args:
        bench: the run.
        name: what the rows' names begin with.
        title: the rows' words but for the rival.
        work: does so many operations on a pool.
        operations: that a sample of Raddle does.
        rivals: by key, how many times fewer operations a sample of theirs does.
        workers: processes of each pool.
        repeats: counted rounds in a standard run.
    """

    def timed(pool: Pool, count: int) -> int:
        started = time.perf_counter_ns()
        work(pool, count)
        return time.perf_counter_ns() - started

    yield from compare_figures(
        bench, name, title, timed, operations=operations, rivals=rivals, workers=workers, repeats=repeats
    )


def compare_figures(
    bench: Bench,
    name: str,
    title: str,
    clock: PoolClock,
    *,
    operations: int,
    rivals: Mapping[str, int],
    workers: int = WORKERS,
    repeats: int = REPEATS,
) -> Iterator[Row]:
    """Compares times that the work takes by itself, without its pauses for instance; arguments as for compare."""
    ours = side(bench.candidate)
    for rival, pace in present(bench, rivals):
        count = max(1, operations // pace)
        with closing(rival.start(workers)) as their_pool, closing(ours.start(workers)) as our_pool:
            theirs = partial(clock, their_pool.warmed(workers), count)
            pairs = figures_in_turn(
                theirs, partial(clock, our_pool.warmed(workers), operations), repeats=bench.repeats(repeats)
            )
        scaled = Pairs(
            tuple(round(sample * operations / count) for sample in pairs.baseline), pairs.candidate
        )
        yield _row(scaled, name, title, operations, rival)


def programs(
    bench: Bench,
    name: str,
    title: str,
    measure: Callable[[str], Clock],
    *,
    rivals: Mapping[str, str],
    candidate: str,
    repeats: int = REPEATS,
) -> Iterator[Row]:
    """Compares nanoseconds that programs take of themselves, a row for each rival.

    Args:
        bench: the run.
        name: what the rows' names begin with.
        title: the rows' words but for the rival.
        measure: makes what runs the program of a contestant once.
        rivals: by key, the contestant's name for ``measure``.
        candidate: Raddle's.
        repeats: counted rounds in a standard run.
    """
    for rival, theirs in present(bench, rivals):
        pairs = figures_in_turn(measure(theirs), measure(candidate), repeats=bench.repeats(repeats))
        yield _row(pairs, name, title, 1, rival)


def _row(pairs: Pairs, name: str, title: str, operations: int, rival: Rival) -> Row:
    return row_of(pairs, f"{name}-{rival.key}", f"{title}, against {rival.words}", operations, rival.baseline)
