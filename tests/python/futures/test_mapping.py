"""`map` on threads beside other tasks; what it promises on every executor stands in tests/python/executors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures.thread import BrokenThreadPool

import pytest

from raddle.futures import ThreadPoolExecutor
from tests.python.futures.support import LONG, Gate, until


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


def shut_down(pool: ThreadPoolExecutor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)


def break_down(pool: ThreadPoolExecutor) -> None:
    """Have a second worker started, whose initializer fails."""
    pool.resize(2)
    until(lambda: pool._broken)
    pool.resize(1)


@pytest.mark.parametrize(("end", "error"), [(shut_down, RuntimeError), (break_down, BrokenThreadPool)])
def test_a_map_that_no_worker_will_come_back_to_reads_no_further(
    end: Callable[[ThreadPoolExecutor], None], error: type[Exception]
) -> None:
    """Its turn is over while it has nothing to do: it stands in the queue, behind another task, when the end comes."""
    workers = iter([True])
    pool = ThreadPoolExecutor(1, initializer=lambda: next(workers))
    other, ready = Gate(), threading.Event()

    def work(number: int) -> int:
        assert ready.wait(LONG), "the other task was not submitted"
        time.sleep(0.01)  # longer than a turn
        return number

    items = pool.map(work, range(5), buffersize=1)
    blocking = pool.submit(other)
    ready.set()
    other.await_entry()
    end(pool)
    other.open()
    with pytest.raises(error):
        list(items)
    assert blocking.exception(LONG) is None
    pool.shutdown()
