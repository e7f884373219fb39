"""Tasks awaited from asyncio through ``run_in_executor``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Executor

from benches.futures.jobs import nothing
from benches.results import Row
from benches.run import Bench
from benches.sides import Side


def awaiting(bench: Bench) -> Iterator[Row]:
    """The event loop hands no-ops to the pool: each awaited before the next, then a thousand at once."""
    single = bench.size(1_000)
    batches, batch = bench.size(10), 1_000

    async def one_by_one(pool: Executor) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(single):
            await loop.run_in_executor(pool, nothing)

    async def gathered(pool: Executor) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(batches):
            await asyncio.gather(*(loop.run_in_executor(pool, nothing) for _ in range(batch)))

    def run_one_by_one(_: Side, pool: Executor) -> None:
        asyncio.run(one_by_one(pool))

    def run_gathered(_: Side, pool: Executor) -> None:
        asyncio.run(gathered(pool))

    yield bench.compare(
        "asyncio-one", "asyncio, one awaited at a time", run_one_by_one, operations=single, repeats=15
    )
    yield bench.compare(
        "asyncio-gather", f"asyncio, gather of {batch:,}", run_gathered, operations=batches * batch
    )
