"""`map` on threads beside other tasks; what it promises on every executor stands in tests/python/executors."""

from __future__ import annotations

import threading

from raddle.futures import ThreadPoolExecutor
from tests.python.futures.support import LONG


def test_other_tasks_get_their_turn(single: ThreadPoolExecutor) -> None:
    ahead: list[int] = []
    submitted = threading.Event()

    def work(number: int) -> None:
        assert submitted.wait(LONG), "the other task was not submitted"
        ahead.append(number)

    items = single.map(work, range(200_000))
    other = single.submit(lambda: len(ahead))
    submitted.set()
    assert other.result(LONG) < 200_000
    items.close()
