"""Queues between processes: what an item costs on its way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import repeat
from typing import Any

from benches.harness import Work
from benches.multiprocessing.team import Team, context
from benches.results import Row
from benches.run import Bench
from benches.sides import Side


def _produce(queue: Any, count: int) -> None:
    put = queue.put
    for number in range(count):
        put(number)


def _consume(queue: Any, count: int) -> None:
    get = queue.get
    for _ in repeat(None, count):
        get()


def queue(bench: Bench) -> Iterator[Row]:
    """``Queue`` from some processes to as many others."""
    for processes, items in ((1, 20_000), (4, 20_000)):
        share = max(1, bench.size(items) // processes)

        def prepare(side: Side, stack: ExitStack, processes: int = processes, share: int = share) -> Work:
            queue = context(side).Queue()
            works = [(_produce, (queue, share)), (_consume, (queue, share))] * processes
            return stack.enter_context(closing(Team(side, works))).run

        title = f"Queue: {processes} to {processes} processes"
        yield bench.contest(f"mp-queue-{processes}", title, prepare, operations=share * processes, repeats=7)
