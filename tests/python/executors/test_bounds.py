"""`max_pending` and `on_full`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import raddle
from tests.python.executors.gates import Gate
from tests.python.executors.jobs import LONG
from tests.python.futures.support import until, until_asleep

MakePool = Callable[..., Any]


def fill(pool: Any, gate: Gate, pending: int) -> None:
    """Occupy the one worker, and the queue up to its bound."""
    pool.submit(gate.door)
    gate.await_entry()
    for _ in range(pending):
        pool.submit(int)


def test_submit_raises_when_asked_to(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1, max_pending=2, on_full="raise")
    fill(pool, gate, 2)
    for view in (pool, pool.options(retries=1, priority=9)):
        with pytest.raises(raddle.ExecutorFull, match="2 tasks are waiting"):
            view.submit(int)
    gate.open()
    until(lambda: pool.stats().queued == 0)
    assert pool.submit(pow, 2, 3).result(LONG) == 8


def test_submit_waits_for_room(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1, max_pending=2)
    fill(pool, gate, 2)
    submitted = threading.Event()
    results: list[int] = []

    def submit() -> None:
        for number in range(50):
            results.append(pool.submit(pow, 2, number).result(LONG))
            submitted.set()

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert not submitted.wait(0.05)
    assert pool.stats().queued == 2
    gate.open()
    for thread in threads:
        thread.join(LONG)
    assert sorted(results) == sorted(2**number for number in range(50) for _ in range(4))


def test_shutdown_frees_those_that_wait(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1, max_pending=1)
    fill(pool, gate, 1)
    refused: list[RuntimeError] = []

    def submit() -> None:
        try:
            pool.submit(int)
        except RuntimeError as error:
            refused.append(error)

    thread = threading.Thread(target=submit)
    thread.start()
    # A submit that comes after the shutdown is refused with the same error.
    until_asleep(thread)
    assert refused == []
    pool.shutdown(wait=False)
    thread.join(LONG)
    assert len(refused) == 1


def test_cancelled_tasks_make_room(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1, max_pending=1, on_full="raise")
    pool.submit(gate.door)
    gate.await_entry()
    pool.submit(int).cancel()
    gate.open()
    until(lambda: pool.stats().queued == 0)
    assert pool.submit(pow, 2, 3).result(LONG) == 8


def test_dependants_are_not_refused_later(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1, max_pending=1, on_full="raise")
    first = pool.submit(gate.door)
    dependants = [pool.options(after=first).submit(pow, 2, number) for number in range(10)]
    gate.open()
    assert [future.result(LONG) for future in dependants] == [2**number for number in range(10)]


@pytest.mark.parametrize("how", ["plain", "options"])
def test_a_map_loses_no_item_to_those_who_fill_the_queue(make_pool: MakePool, gate: Gate, how: str) -> None:
    pool = make_pool(1, max_pending=3, on_full="raise")
    others = [pool.submit(gate.door)]
    gate.await_entry()
    others += [pool.submit(int) for _ in range(2)]
    items = (pool if how == "plain" else pool.options(retries=1)).map(abs, range(20))
    gate.open()
    assert list(items) == list(range(20))
    raddle.wait(others, LONG)


def test_a_map_of_tasks_that_finds_no_room_at_all_tries_again(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1, max_pending=1, on_full="raise")
    running = pool.submit(gate.door)
    gate.await_entry()
    last = pool.submit(int)
    items = pool.options(retries=1).map(abs, range(5))
    with pytest.raises(raddle.ExecutorFull):
        next(items)
    gate.open()
    raddle.wait([running, last], LONG)
    assert list(items) == list(range(5))
