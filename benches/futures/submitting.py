"""Submitting no-ops: all before the first result, one after the other, and from eight threads at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from functools import partial

from benches.crew import Crew
from benches.futures.jobs import nothing, submit_then_collect
from benches.harness import in_turn
from benches.results import Row
from benches.run import WORKERS, Bench, row_of
from benches.sides import Side

THREADS = 8


def submit_all(bench: Bench) -> Iterator[Row]:
    """All tasks are queued before the first result is asked for."""
    count = bench.size(10_000)
    yield bench.compare(
        "submit-all",
        "no-op tasks, submit all then collect",
        lambda _, pool: submit_then_collect(pool, count),
        operations=count,
        repeats=15,
    )


def one_at_a_time(bench: Bench) -> Iterator[Row]:
    """Each result is asked for before the next task is submitted: the round trip between two threads."""
    count = bench.size(2_000)

    def round_trips(_: Side, pool: Executor) -> None:
        submit = pool.submit
        for _round in range(count):
            submit(nothing).result()

    yield bench.compare(
        "one-at-a-time", "no-op tasks, one at a time", round_trips, operations=count, repeats=21
    )


def eight_threads(bench: Bench) -> Iterator[Row]:
    """Eight threads share the submitting of as many tasks as one thread submits alone."""
    count = bench.size(40_000)
    repeats = bench.repeats(7)
    with ExitStack() as stack:

        def submitters(pool: Executor, threads: int) -> Crew:
            work = partial(submit_then_collect, pool, count // threads)
            return stack.enter_context(closing(Crew([work] * threads)))

        theirs = stack.enter_context(bench.peer.pool(WORKERS))
        ours = stack.enter_context(bench.candidate.pool(WORKERS))
        their_one, their_eight = submitters(theirs, 1), submitters(theirs, THREADS)
        our_one, our_eight = submitters(ours, 1), submitters(ours, THREADS)

        pairs = in_turn(their_eight.run, our_eight.run, repeats=repeats)
        yield row_of(pairs, "eight-threads", "eight threads submitting at once", count, bench.peer.name)

        pairs = in_turn(our_one.run, our_eight.run, repeats=repeats)
        title = f"eight threads against one, {bench.candidate.name}"
        yield row_of(pairs, "eight-threads-vs-one", title, count, "one thread")

        pairs = in_turn(their_one.run, their_eight.run, repeats=repeats)
        title = f"eight threads against one, {bench.peer.name}"
        yield row_of(pairs, "eight-threads-vs-one-peer", title, count, "one thread")
