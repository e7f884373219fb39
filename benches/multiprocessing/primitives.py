"""Locks, semaphores and events, by one process alone, and by two at once."""

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


def _take(lock: Any, count: int) -> None:
    for _ in repeat(None, count):
        with lock:
            pass


def _alone(bench: Bench, name: str, make: str) -> Row:
    count = bench.size(100_000)

    def prepare(side: Side, _: ExitStack) -> Work:
        primitive = getattr(context(side), make)()
        return lambda: _take(primitive, count)

    return bench.contest(name, f"{make}: with, nobody else there", prepare, operations=count)


def lock(bench: Bench) -> Iterator[Row]:
    """``with lock``, where nobody waits, and from two processes at once."""
    yield _alone(bench, "mp-lock", "Lock")
    share = bench.size(50_000)

    def prepare(side: Side, stack: ExitStack) -> Work:
        lock = context(side).Lock()
        return stack.enter_context(closing(Team(side, [(_take, (lock, share))] * 2))).run

    yield bench.contest("mp-lock-2", "Lock: two processes", prepare, operations=2 * share)


def semaphore(bench: Bench) -> Iterator[Row]:
    """``with semaphore``, where nobody waits."""
    yield _alone(bench, "mp-semaphore", "Semaphore")


def _turns(own: Any, other: Any, count: int) -> None:
    for _ in repeat(None, count):
        own.wait()
        own.clear()
        other.set()


def _first_turns(own: Any, other: Any, count: int) -> None:
    for _ in repeat(None, count):
        other.set()
        own.wait()
        own.clear()


def event(bench: Bench) -> Iterator[Row]:
    """An ``Event`` in one process, and two with which two processes take turns."""
    count = bench.size(20_000)

    def alone(side: Side, _: ExitStack) -> Work:
        event = context(side).Event()

        def work() -> None:
            for _ in repeat(None, count):
                event.set()
                event.wait()
                event.clear()

        return work

    yield bench.contest("mp-event", "Event: set, wait, clear", alone, operations=count)
    rounds = bench.size(5_000)

    def turns(side: Side, stack: ExitStack) -> Work:
        one, other = context(side).Event(), context(side).Event()
        works = [(_first_turns, (one, other, rounds)), (_turns, (other, one, rounds))]
        return stack.enter_context(closing(Team(side, works))).run

    title = "Event: two processes in turn"
    yield bench.contest("mp-event-turns", title, turns, operations=rounds, repeats=7)
