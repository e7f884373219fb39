"""Queues between threads: what an item costs on its way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import repeat
from typing import Any

from benches.crew import Crew
from benches.harness import Work
from benches.results import Row
from benches.run import Bench
from benches.sides import Side


def _to_and_fro(queue: Any, count: int) -> Work:
    def work() -> None:
        put, get = queue.put, queue.get
        for number in range(count):
            put(number)
            get()

    return work


def _alone(bench: Bench, name: str, title: str, make: str, count: int) -> Row:
    count = bench.size(count)

    def prepare(side: Side, _: ExitStack) -> Work:
        return _to_and_fro(getattr(side.queue, make)(), count)

    return bench.contest(name, title, prepare, operations=count, repeats=15)


def _cross(bench: Bench, name: str, title: str, make: str, threads: int, items: Sequence[int]) -> Row:
    """Hands ``items`` from so many threads to as many others, an equal share to each."""
    share = max(1, len(items) // threads)

    def prepare(side: Side, stack: ExitStack) -> Work:
        queue = getattr(side.queue, make)()

        def producer(number: int) -> Work:
            mine = items[number * share : (number + 1) * share]

            def produce() -> None:
                put = queue.put
                for item in mine:
                    put(item)

            return produce

        def consume() -> None:
            get = queue.get
            for _ in repeat(None, share):
                get()

        works = [producer(number) for number in range(threads)] + [consume] * threads
        return stack.enter_context(closing(Crew(works))).run

    return bench.contest(name, title, prepare, operations=share * threads)


def alone(bench: Bench) -> Iterator[Row]:
    """``Queue`` in one thread, where nobody ever waits."""
    yield _alone(bench, "queue-alone", "Queue: put and get in one thread", "Queue", 100_000)


def crossing(bench: Bench) -> Iterator[Row]:
    """``Queue`` from some threads to as many others."""
    # A crowd takes a while to come together, and does so in the time that is measured.
    for threads, items in ((1, 64_000), (4, 64_000), (64, 256_000)):
        yield _cross(
            bench,
            f"queue-crossing-{threads}",
            f"Queue: {threads} to {threads} threads",
            "Queue",
            threads,
            range(max(threads, bench.size(items))),
        )


def simple(bench: Bench) -> Iterator[Row]:
    """``SimpleQueue``, in one thread and from one to another."""
    yield _alone(bench, "simple-alone", "SimpleQueue: put and get in one thread", "SimpleQueue", 300_000)
    title = "SimpleQueue: 1 to 1 threads"
    yield _cross(bench, "simple-crossing", title, "SimpleQueue", 1, range(bench.size(300_000)))


def heap(bench: Bench) -> Iterator[Row]:
    """``PriorityQueue`` with a million items, in no order, from 4 threads to 4 others."""
    count = max(4, bench.size(1_000_000))
    items = [number * 7_919 % count for number in range(count)]
    yield _cross(
        bench, "priority", f"PriorityQueue: {count:,} items, 4 to 4 threads", "PriorityQueue", 4, items
    )
