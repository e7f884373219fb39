"""``map`` where nobody says a chunk size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor

from benches.futures.jobs import same
from benches.results import Row
from benches.run import Bench
from benches.sides import Side


def mapping(bench: Bench) -> Iterator[Row]:
    """One call of ``map`` over a range, its results consumed in order."""
    count = bench.size(20_000)

    def consume(_: Side, pool: Executor) -> None:
        deque(pool.map(same, range(count)), maxlen=0)

    yield bench.compare("map", "map of no-ops, no chunk size given", consume, operations=count, repeats=15)
