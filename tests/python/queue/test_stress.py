"""Random operations of threads and coroutines, while the interpreter changes hands all the time."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from raddle.queue import Empty, Full, LifoQueue, PriorityQueue, Queue, ShutDown, SimpleQueue
from tests.python.queue.support import Crew, hooked

SECONDS = 1.5


@pytest.fixture(autouse=True)
def hands_change_often() -> Iterator[None]:
    """A thread switch is possible at nearly every bytecode."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Traffic:
    """Puts numbered items and takes them, by every way there is; in the end each must have been taken once."""

    def __init__(self, queue: Queue[Any], seed: int) -> None:
        self.queue = queue
        self.seed = seed
        self.put: list[Counter[int]] = []
        self.got: list[Counter[int]] = []
        self.end = time.monotonic() + SECONDS
        self.numbers = iter(range(10**9))
        self.lock = threading.Lock()

    def numbered(self, amount: int) -> list[int]:
        with self.lock:
            return [next(self.numbers) for _ in range(amount)]

    def producer(self, number: int) -> None:
        randomness, put = random.Random(self.seed * 100 + number), Counter[int]()
        self.put.append(put)
        while time.monotonic() < self.end:
            items = self.numbered(randomness.choice((1, 1, 3)))
            put.update(items)
            try:
                if len(items) == 1:
                    self.queue.put(
                        items[0], randomness.random() < 0.7, randomness.choice((None, 0.0001, 0.01))
                    )
                else:
                    self.queue.put_many(randomness.choice((list, iter))(items), timeout=0.001)
            except Full as full:
                put.subtract(full.unput if hasattr(full, "unput") else items)

    def consumer(self, number: int) -> None:
        randomness, got = random.Random(self.seed * 100 + 50 + number), Counter[int]()
        self.got.append(got)
        while True:
            try:
                timeout = randomness.choice((None, 0.0001, 0.01))
                if randomness.random() < 0.7:
                    items = [self.queue.get(randomness.random() < 0.8, timeout)]
                else:
                    items = self.queue.get_many(3, True, timeout)
            except Empty:
                continue
            except ShutDown:
                return
            got.update(items)
            for _ in items:
                self.queue.task_done()

    async def async_producer(self, number: int) -> None:
        randomness, put = random.Random(self.seed * 100 + 70 + number), Counter[int]()
        self.put.append(put)
        while time.monotonic() < self.end:
            (item,) = self.numbered(1)
            task = asyncio.ensure_future(self.queue.aput(item, randomness.choice((None, 0.001))))
            await asyncio.sleep(randomness.choice((0, 0, 0.0005)))
            if randomness.random() < 0.3:
                task.cancel()
            try:
                await task
                put[item] += 1
            except (asyncio.CancelledError, Full):
                pass

    async def async_consumer(self, number: int) -> None:
        randomness, got = random.Random(self.seed * 100 + 80 + number), Counter[int]()
        self.got.append(got)
        while True:
            task = asyncio.ensure_future(self.queue.aget(randomness.choice((None, 0.001))))
            await asyncio.sleep(randomness.choice((0, 0, 0.0005)))
            if randomness.random() < 0.3:
                task.cancel()
            try:
                got[await task] += 1
            except (asyncio.CancelledError, Empty):
                continue
            except ShutDown:
                return
            self.queue.task_done()

    def run(self) -> None:
        def loop(work: Any) -> None:
            async def main() -> None:
                await asyncio.gather(work(0), work(1))

            asyncio.run(main())

        consumers, producers = Crew(), Crew()
        for number in range(2):
            consumers.start(self.consumer, number)
            producers.start(self.producer, number)
        consumers.start(loop, self.async_consumer)
        producers.start(loop, self.async_producer)
        producers.join()
        self.queue.join()
        self.queue.shutdown()
        consumers.join()
        put, got = sum(self.put, Counter()), sum(self.got, Counter())
        assert put == got
        assert set(got.values()) <= {1}
        assert len(got) > 50


@pytest.mark.slow
@pytest.mark.parametrize("maxsize", [0, 1, 5])
@pytest.mark.parametrize(
    "base",
    [Queue, LifoQueue, PriorityQueue, hooked(Queue)],
    ids=["Queue", "LifoQueue", "PriorityQueue", "hooked"],
)
def test_every_item_arrives_once(base: type[Queue[Any]], maxsize: int) -> None:
    Traffic(base(maxsize), seed=maxsize).run()


@pytest.mark.slow
def test_every_item_of_a_simple_queue_arrives_once() -> None:
    queue: SimpleQueue[int] = SimpleQueue()
    got: list[int] = []
    amount = 3_000

    def consume() -> None:
        randomness = random.Random(1)
        while True:
            try:
                item = queue.get(randomness.random() < 0.9, randomness.choice((None, 0.0001)))
            except Empty:
                continue
            if item < 0:
                return
            got.append(item)

    async def async_consume() -> None:
        while True:
            task = asyncio.ensure_future(queue.aget())
            await asyncio.sleep(0)
            task.cancel()
            try:
                item = await task
            except asyncio.CancelledError:
                continue
            if item < 0:
                return
            got.append(item)

    consumers, producers = Crew(), Crew()
    for _ in range(2):
        consumers.start(consume)
    consumers.start(lambda: asyncio.run(async_consume()))
    for start in range(3):
        producers.start(lambda start: [queue.put(i) for i in range(start, amount, 3)], start)
    producers.join()
    for _ in range(3):
        queue.put(-1)
    consumers.join()
    assert sorted(got) == list(range(amount))
