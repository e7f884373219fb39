"""From a thread to a coroutine and back, against the libraries that do this on the stdlib: janus and culsans."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from benches.crew import Crew
from benches.harness import Pairs, Work, rotate
from benches.results import Row
from benches.run import REPEATS, Bench, row_of

#: Those who are there are measured, and the quickest is the baseline.
PEERS = ("janus", "culsans")


@dataclass(frozen=True)
class Ends:
    """The two ends of a queue that has one for threads and one for coroutines."""

    put: Callable[[Any], object]
    get: Callable[[], Any]
    aput: Callable[[Any], Coroutine[Any, Any, object]]
    aget: Callable[[], Coroutine[Any, Any, Any]]


def _ends(library: str) -> Ends:
    if library == "raddle":
        queue = importlib.import_module("raddle.queue").Queue()
        return Ends(queue.put, queue.get, queue.aput, queue.aget)
    queue = importlib.import_module(library).Queue()
    return Ends(queue.sync_q.put, queue.sync_q.get, queue.async_q.put, queue.async_q.get)


def _into_the_loop(ends: Ends, count: int) -> tuple[Work, Callable[[], Coroutine[Any, Any, None]]]:
    def produce() -> None:
        put = ends.put
        for number in range(count):
            put(number)

    async def consume() -> None:
        aget = ends.aget
        for _ in range(count):
            await aget()

    return produce, consume


def _out_of_the_loop(ends: Ends, count: int) -> tuple[Work, Callable[[], Coroutine[Any, Any, None]]]:
    def consume() -> None:
        get = ends.get
        for _ in range(count):
            get()

    async def produce() -> None:
        aput = ends.aput
        for number in range(count):
            await aput(number)

    return consume, produce


def _work(library: str, way: Callable[[Ends, int], Any], count: int) -> Work:
    """Makes the work of one sample: a thread and a loop, which are there for all libraries alike, and a fresh queue."""

    def work() -> None:
        async def main() -> None:
            # janus makes its queues in the loop that uses them.
            in_thread, in_loop = way(_ends(library), count)
            with closing(Crew([in_thread])) as crew:
                running = asyncio.get_running_loop().run_in_executor(None, crew.run)
                await in_loop()
                await running

        asyncio.run(main())

    return work


def handover(bench: Bench) -> Iterator[Row]:
    """A thread puts what a coroutine gets, and the other way round."""
    count = bench.size(20_000)
    peers = [name for name in PEERS if importlib.util.find_spec(name)]
    candidate = bench.candidate.home or (peers[0] if peers else "raddle")
    for name, title, way in (
        ("handover-in", "thread to coroutine", _into_the_loop),
        ("handover-out", "coroutine to thread", _out_of_the_loop),
    ):
        libraries = [*(peers or [candidate]), candidate]
        *others, ours = rotate(
            [_work(library, way, count) for library in libraries], repeats=bench.repeats(REPEATS)
        )
        quickest = min(range(len(others)), key=lambda index: sorted(others[index])[len(ours) // 2])
        library = libraries[quickest]
        baseline = f"{library} {importlib.metadata.version(library)}"
        yield row_of(Pairs(others[quickest], ours), name, f"{title}, against {library}", count, baseline)
