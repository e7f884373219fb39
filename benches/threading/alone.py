"""Primitives in one thread, where nobody else wants them: what they cost a program that seldom meets itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import repeat
from typing import Any

from benches.harness import Work
from benches.results import Row
from benches.run import Bench
from benches.sides import Side

#: Passes of the loop in one sample.
COUNT = 200_000


def entering(thing: Any, count: int) -> Work:
    """Makes the work of entering and leaving ``thing`` by ``with``."""

    def work() -> None:
        for _ in repeat(None, count):
            with thing:
                pass

    return work


def acquiring(thing: Any, count: int) -> Work:
    """Makes the work of calling ``acquire`` and ``release``."""

    def work() -> None:
        acquire, release = thing.acquire, thing.release
        for _ in repeat(None, count):
            acquire()
            release()

    return work


def nesting(thing: Any, count: int) -> Work:
    """Makes the work of entering and leaving what is held already."""
    inner = entering(thing, count)

    def work() -> None:
        with thing:
            inner()

    return work


def _compare(
    bench: Bench, name: str, title: str, make: str, working: Callable[[Any, int], Work], count: int = COUNT
) -> Row:
    """Compares ``working`` on what ``make`` of each side's module makes."""
    count = bench.size(count)

    def prepare(side: Side, _: ExitStack) -> Work:
        return working(getattr(side.threading, make)(), count)

    return bench.contest(name, title, prepare, operations=count, repeats=15)


def lock(bench: Bench) -> Iterator[Row]:
    """A lock that is free."""
    yield _compare(bench, "lock-with", "with lock", "Lock", entering)
    yield _compare(bench, "lock-acquire", "lock.acquire and release", "Lock", acquiring)


def rlock(bench: Bench) -> Iterator[Row]:
    """A reentrant lock that is free, or the thread's own already."""
    yield _compare(bench, "rlock-with", "with rlock", "RLock", entering)
    yield _compare(bench, "rlock-acquire", "rlock.acquire and release", "RLock", acquiring)
    yield _compare(bench, "rlock-nested", "with rlock, held already", "RLock", nesting)


def condition(bench: Bench) -> Iterator[Row]:
    """A condition that nobody waits for."""

    def notifying(condition: Any, count: int) -> Work:
        def work() -> None:
            notify = condition.notify
            with condition:
                for _ in repeat(None, count):
                    notify()

        return work

    def entering_to_notify(condition: Any, count: int) -> Work:
        def work() -> None:
            for _ in repeat(None, count):
                with condition:
                    condition.notify()

        return work

    yield _compare(bench, "condition-notify", "condition.notify", "Condition", notifying)
    title = "with condition, notify"
    yield _compare(bench, "condition-with", title, "Condition", entering_to_notify, 100_000)


def semaphore(bench: Bench) -> Iterator[Row]:
    """A semaphore with a permit left."""
    yield _compare(bench, "semaphore", "with semaphore", "Semaphore", entering, 100_000)
    yield _compare(
        bench, "semaphore-bounded", "with bounded semaphore", "BoundedSemaphore", entering, 100_000
    )


def event(bench: Bench) -> Iterator[Row]:
    """An event for each hand-over, as a program makes it that waits for one answer."""
    count = bench.size(50_000)

    def prepare(side: Side, _: ExitStack) -> Work:
        make = side.threading.Event

        def work() -> None:
            for _ in repeat(None, count):
                event = make()
                event.set()
                event.wait()

        return work

    yield bench.contest("event", "a new event, set and waited for", prepare, operations=count, repeats=15)


def barrier(bench: Bench) -> Iterator[Row]:
    """A barrier for one, so that nobody sleeps."""
    count = bench.size(50_000)

    def prepare(side: Side, _: ExitStack) -> Work:
        wait = side.threading.Barrier(1).wait

        def work() -> None:
            for _ in repeat(None, count):
                wait()

        return work

    yield bench.contest("barrier", "barrier for one", prepare, operations=count, repeats=15)
