"""Threads themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import repeat

from benches.futures.jobs import nothing
from benches.harness import Work
from benches.results import Row
from benches.run import Bench
from benches.sides import Side


def start_join(bench: Bench) -> Iterator[Row]:
    """A thread that does nothing is started and joined, one after the other."""
    count = bench.size(1_000)

    def prepare(side: Side, _: ExitStack) -> Work:
        make = side.threading.Thread

        def work() -> None:
            for _ in repeat(None, count):
                thread = make(target=nothing)
                thread.start()
                thread.join()

        return work

    yield bench.contest("thread", "start a thread and join it", prepare, operations=count, repeats=15)
