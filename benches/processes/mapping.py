"""``map`` where nobody says a chunk size."""

from __future__ import annotations

from collections.abc import Iterator

from benches.processes.jobs import same
from benches.processes.rivals import compare
from benches.results import Row
from benches.run import Bench


def mapping(bench: Bench) -> Iterator[Row]:
    """One call of ``map`` over 100,000 numbers, its results consumed; the stdlib's executor sends each by itself."""
    yield from compare(
        bench,
        "process-map",
        "map of no-ops, no chunk size given",
        lambda pool, count: pool.map(same, range(count)),
        operations=bench.size(100_000),
        rivals={"stdlib": 50, "pool": 1, "loky": 50, "joblib": 10, "mpire": 10},
    )
