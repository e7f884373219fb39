"""There and back: what a question to another process and its answer cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

from benches.harness import Work
from benches.multiprocessing.team import Team, context
from benches.results import Row
from benches.run import Bench
from benches.sides import Side


def _ask(end: Any, count: int) -> None:
    send, recv = end.send, end.recv
    for number in range(count):
        send(number)
        recv()


def _answer(end: Any, count: int) -> None:
    send, recv = end.send, end.recv
    for _ in range(count):
        send(recv())


def pipe(bench: Bench) -> Iterator[Row]:
    """A small number through a ``Pipe``, and back."""
    count = bench.size(10_000)

    def prepare(side: Side, stack: ExitStack) -> Work:
        one, other = context(side).Pipe()
        works = [(_ask, (one, count)), (_answer, (other, count))]
        return stack.enter_context(closing(Team(side, works))).run

    yield bench.contest("mp-pipe", "Pipe: a number there and back", prepare, operations=count, repeats=7)


def manager(bench: Bench) -> Iterator[Row]:
    """A dictionary that a manager keeps: an item is set, and read."""
    count = bench.size(5_000)

    def prepare(side: Side, stack: ExitStack) -> Work:
        shared = stack.enter_context(context(side).Manager()).dict()

        def work() -> None:
            for number in range(count):
                shared["key"] = number
                assert shared["key"] == number

        return work

    title = "Manager: a dict's item set and read"
    yield bench.contest("mp-manager-dict", title, prepare, operations=count, repeats=7)
