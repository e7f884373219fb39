"""A number that threads add to: `AtomicInt` on Raddle's side, an `int` under a lock on the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import repeat

from benches.crew import Crew
from benches.harness import Work
from benches.results import Row
from benches.run import Bench
from benches.sides import RADDLE, Side


def counter(bench: Bench) -> Iterator[Row]:
    """One thread adds, then eight threads do."""
    for threads in (1, 8):
        share = bench.size(400_000) // threads

        def prepare(side: Side, stack: ExitStack, threads: int = threads, share: int = share) -> Work:
            add = adding(side, share)
            return stack.enter_context(closing(Crew([add] * threads))).run if threads > 1 else add

        name, who = (
            ("counter", "one thread") if threads == 1 else (f"counter-{threads}", f"{threads} threads")
        )
        title = f"{who} adding to AtomicInt, against a lock"
        yield bench.contest(name, title, prepare, operations=share * threads)


def adding(side: Side, count: int) -> Work:
    """Makes the work of adding one, ``count`` times, to a number that all who do it share."""
    if side.name == RADDLE:
        number = side.threading.AtomicInt()

        def add() -> None:
            for _ in repeat(None, count):
                number.add(1)

        return add

    lock, total = side.threading.Lock(), 0

    def add_locked() -> None:
        nonlocal total
        for _ in repeat(None, count):
            with lock:
                total += 1

    return add_locked
