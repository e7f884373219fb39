"""What the tests of `raddle.queue` share: every kind of queue, and ways to use it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from raddle.queue import LifoQueue, PriorityQueue, Queue


class Crew:
    """Threads whose exceptions are raised when they are joined."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.raised: list[BaseException] = []

    def start(self, work: Callable[..., object], *args: object) -> threading.Thread:
        def run() -> None:
            try:
                work(*args)
            except BaseException as error:
                self.raised.append(error)

        thread = threading.Thread(target=run, daemon=True)
        self.threads.append(thread)
        thread.start()
        return thread

    def join(self) -> None:
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a thread hangs"
        self.threads.clear()
        if self.raised:
            raise self.raised[0]


def hooked(base: type[Queue[Any]]) -> type[Queue[Any]]:
    """Make a class that overrides a hook, so that its items stand in Python from the beginning."""

    class Hooked(base):  # type: ignore[valid-type, misc]
        def _put(self, item: object) -> None:
            super()._put(item)

    return Hooked


def touched(base: type[Queue[Any]]) -> Callable[..., Queue[Any]]:
    """Make queues whose items have become Python's."""

    def make(maxsize: int = 0) -> Queue[Any]:
        queue = base(maxsize)
        assert queue.mutex is queue.mutex
        return queue

    return make


BASES = (Queue, LifoQueue, PriorityQueue)
EXPECTED: dict[type, Callable[[list[Any]], list[Any]]] = {
    Queue: list,
    LifoQueue: lambda items: items[::-1],
    PriorityQueue: sorted,
}
