"""Data on its way: 100 MB arrays in and out, and the bytes of everyday arguments."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

from benches.harness import Clock, Pairs, figures_in_turn, rotate, sample
from benches.processes.jobs import ends, give, keep, kept, pause_with_numpy, same
from benches.processes.pools import Joblib, Pool, Ray
from benches.processes.rivals import compare, side
from benches.results import Row
from benches.run import REPEATS, WORKERS, Bench, row_of

FLOATS = 12_500_000
SIZES = {"10kb": ("10 KB", 10_000), "1mb": ("1 MB", 1_000_000)}
TASKS = 1_000


def has_numpy() -> bool:
    """Says whether there are arrays to send."""
    return importlib.util.find_spec("numpy") is not None


def arrays(bench: Bench) -> Iterator[Row]:
    """An array of 100 MB as an argument, and as a result, against the rivals and against copying it once in memory."""
    if not has_numpy():
        return
    length = bench.size(FLOATS)
    array, size = kept(length), _megabytes(length)
    paces = {"stdlib": 1, "pool": 1, "loky": 1, "joblib": 1, "ray": 1}
    for name, title, work in (
        ("process-array-in", f"{size} array as an argument", lambda pool, _: pool.call(ends, array)),
        ("process-array-out", f"{size} array as a result", lambda pool, _: pool.call(give, length)),
    ):
        yield from compare(bench, name, title, work, operations=1, rivals=paces, repeats=7)
        with closing(side(bench.candidate).start(WORKERS)) as pool:
            call = partial(work, pool.warmed(WORKERS), 1)
            copies, calls = rotate([_memcpy(length), call], repeats=bench.repeats(15), warmups=3)
        yield row_of(Pairs(copies, calls), f"{name}-memcpy", f"{title}, against memcpy", 1, "one warm memcpy")
    start = side(bench.candidate).start
    for name, way, first in (
        ("first", "as an argument", _first(start, pause_with_numpy, ends, array)),
        ("first-out", "as a result", _first(start, partial(keep, length), give, length)),
    ):
        pairs = figures_in_turn(partial(sample, _memcpy(length)), first, repeats=bench.repeats(REPEATS))
        title = f"the first array of a pool {way}, against memcpy"
        yield row_of(pairs, f"process-array-{name}-memcpy", title, 1, "one warm memcpy")


def messages(bench: Bench) -> Iterator[Row]:
    """Bytes as an argument, and as an argument that comes back."""
    for key, (words, size) in SIZES.items():
        data = os.urandom(size)
        count = bench.size(2_000 if size < 100_000 else 200)
        for name, way, fn in (("in", "argument", ends), ("echo", "argument and result", same)):
            yield from compare(
                bench,
                f"process-message-{key}-{name}",
                f"{words} as {way}",
                partial(_one_by_one, fn, data),
                operations=count,
                rivals={"stdlib": 4, "pool": 4, "loky": 4},
            )


def sharing(bench: Bench) -> Iterator[Row]:
    """One array of 100 MB to 1,000 tasks: put once, against joblib's files and ray's store."""
    home = importlib.import_module(bench.candidate.home or "concurrent")
    share = getattr(home, "share", None)
    if share is None or not has_numpy():
        return  # the stdlib would send it a thousand times
    length, count = bench.size(FLOATS), bench.size(TASKS)
    array = kept(length)

    def work(pool: Pool, count: int) -> None:
        if isinstance(pool, Ray):
            reference = pool.ray.put(array)
            submit = pool.remote(ends).remote
            pool.ray.get([submit(reference) for _ in range(count)])
        elif isinstance(pool, Joblib):
            pool.spread(ends, [array] * count)
        else:
            pool.spread(ends, [share(array)] * count)

    yield from compare(
        bench,
        "process-share",
        f"one {_megabytes(length)} array to {count:,} tasks",
        work,
        operations=count,
        rivals={"joblib": 1, "ray": 1},
        repeats=5,
    )


def _megabytes(length: int) -> str:
    return f"{8 * length / 1e6:g} MB"


def _one_by_one(fn: Callable[[Any], Any], data: bytes, pool: Pool, count: int) -> None:
    for _ in range(count):
        pool.call(fn, data)


def _memcpy(length: int) -> Callable[[], object]:
    """Makes what copies an array of so many floats into pages that have been written before."""
    import numpy as np

    source, target = np.ones(length), np.zeros(length)
    return partial(np.copyto, target, source)


def _first(
    start: Callable[[int], Pool], prepare: Callable[[float], int], fn: Callable[[Any], Any], argument: Any
) -> Clock:
    """Makes what times the first array that goes to or from a pool, each of whose workers has run ``prepare``."""

    def clock() -> int:
        with closing(start(WORKERS)) as pool:
            return sample(partial(pool.warmed(WORKERS, prepare).call, fn, argument))

    return clock
