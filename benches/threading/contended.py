"""Primitives that several threads want at once: how much gets through, and how long the unluckiest waits."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import repeat
from typing import Any

from benches.crew import Crew
from benches.harness import Clock, Work
from benches.results import Row
from benches.run import Bench
from benches.sides import RADDLE, Side

CROWDS = (2, 8, 64)


def crowd(bench: Bench) -> Iterator[Row]:
    """Threads that add to one counter under one lock, for as long as each holds the interpreter."""
    for threads in CROWDS:
        share = bench.size(400_000) // threads

        def prepare(side: Side, stack: ExitStack, threads: int = threads, share: int = share) -> Work:
            lock = side.threading.Lock()
            count = 0

            def add() -> None:
                nonlocal count
                for _ in repeat(None, share):
                    with lock:
                        count += 1

            return stack.enter_context(closing(Crew([add] * threads))).run

        yield bench.contest(
            f"crowd-{threads}", f"{threads} threads on one lock", prepare, operations=share * threads
        )


def busy(bench: Bench) -> Iterator[Row]:
    """Threads that let go of the interpreter while they hold the lock, so that the others do meet it."""
    threads, share = 8, max(1, bench.size(8_000) // 8)

    def prepare(side: Side, stack: ExitStack) -> Work:
        lock = side.threading.Lock()

        def hold() -> None:
            for _ in repeat(None, share):
                with lock:
                    time.sleep(0)

        return stack.enter_context(closing(Crew([hold] * threads))).run

    title = f"{threads} threads that sleep with the lock held"
    yield bench.contest(f"busy-{threads}", title, prepare, operations=share * threads)


def ping_pong(bench: Bench) -> Iterator[Row]:
    """Two threads that take turns: each waits on the condition until the other has notified it."""
    rounds = bench.size(5_000)

    def prepare(side: Side, stack: ExitStack) -> Work:
        condition = side.threading.Condition()
        turn = 0

        def player(own: int) -> Work:
            def play() -> None:
                nonlocal turn
                for _ in repeat(None, rounds):
                    with condition:
                        while turn != own:
                            condition.wait()
                        turn = 1 - own
                        condition.notify()

            return play

        return stack.enter_context(closing(Crew([player(0), player(1)]))).run

    yield bench.contest("ping-pong", "two threads in turn, over one condition", prepare, operations=rounds)


def worst_wait(bench: Bench) -> Iterator[Row]:
    """The longest that any thread of a crowd waited for the lock: first come, first served on Raddle's side."""
    span = bench.size(250) * 1_000_000
    for threads in (8, 64):

        def prepare(side: Side, stack: ExitStack, threads: int = threads) -> Clock:
            lock = side.threading.Lock(fair=True) if side.name == RADDLE else side.threading.Lock()
            worst: list[int] = []

            def crowd() -> None:
                worst.append(longest_wait(lock, span))

            crew = stack.enter_context(closing(Crew([crowd] * threads)))

            def measure() -> int:
                worst.clear()
                crew.run()
                return max(worst)

            return measure

        title = f"longest wait of {threads} threads, fair=True"
        yield bench.figure(f"worst-wait-{threads}", title, prepare, repeats=15)


def longest_wait(lock: Any, span: int) -> int:
    """Takes the lock again and again, and lets others run while it has it.

    The first tenth of the time does not count, also as a part of a wait: in it, the threads are still being woken.

    Args:
        lock: what is taken.
        span: for how many nanoseconds to go on.

    Returns:
        The nanoseconds of the longest wait.
    """
    clock, let_others_run, longest = time.perf_counter_ns, select.poll().poll, 0
    begin = clock() + span // 10
    end = begin + span
    while (asked := clock()) < end:
        with lock:
            longest = max(longest, clock() - max(asked, begin))
            let_others_run(0)
    return longest
