"""Executors made by others from Raddle's, and programs that look inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raddle.futures import Future, ThreadPoolExecutor
from tests.python.futures.support import LONG, Gate


class Tracing(ThreadPoolExecutor):
    """Counts what is submitted, as tracing libraries do."""

    submitted = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        return super().submit(fn, *args, **kwargs)


def test_a_map_goes_through_an_overridden_submit() -> None:
    with Tracing(2) as pool:
        assert list(pool.map(abs, range(-20, 0))) == list(range(20, 0, -1))
        assert pool.submitted == 20
        assert sorted(pool.map(abs, range(5), ordered=False, buffersize=2)) == list(range(5))
        assert pool.submitted == 25


def test_the_length_of_the_queue(single: ThreadPoolExecutor, gate: Gate) -> None:
    assert single._work_queue.empty()
    running = single.submit(gate)
    gate.await_entry()
    waiting = [single.submit(int) for _ in range(3)]
    assert single._work_queue.qsize() == 3
    assert not single._work_queue.empty()
    gate.open()
    assert [future.result(LONG) for future in [running, *waiting]] == [None, 0, 0, 0]
    assert single._work_queue.empty()
