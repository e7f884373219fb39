"""`ProcessPoolExecutor.map`: what batches of items could do wrong.

What it promises on every executor is in `tests/python/executors/test_mapping.py`.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

import raddle
from raddle import NotSerializable
from raddle.futures import CancelledError, Future, ProcessPoolExecutor
from tests.python.executors.gates import Gate
from tests.python.executors.jobs import LONG, Door
from tests.python.processes.support import MakePool
from tests.python.processes.tries import Blank, Interrupting, Touchy, length, number_of, touchy_error


def test_a_map_goes_on_when_few_of_its_items_fit_into_the_arena(make_pool: MakePool) -> None:
    """Who waits for room while a map is packed is not the one whom the workers' replies wait for."""
    pool = make_pool(2, arena_limit=8 << 20)
    assert list(pool.map(length, [Blank(2_400_000) for _ in range(40)])) == [2_400_000] * 40


class Asking:
    """Its pickling waits for another task of the pool."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool

    def __reduce__(self) -> Any:
        return number_of, (self.pool.submit(number_of, 7).result(),)


def test_an_item_may_wait_for_its_pool_while_it_is_pickled(make_pool: MakePool) -> None:
    """What an item does when it is packed is done by nobody for whom others wait."""
    pool = make_pool(1)
    assert list(pool.map(number_of, [Asking(pool) for _ in range(20)])) == [7] * 20


def test_a_callback_may_consume_a_map(make_pool: MakePool) -> None:
    """The map's items are sent although the thread of the callbacks is at that one."""
    pool = make_pool(1)
    found: Future[list[int]] = Future()
    pool.submit(number_of, 1).add_done_callback(
        lambda _: found.set_result(list(pool.map(number_of, range(5000))))
    )
    assert found.result(LONG) == list(range(5000))


def test_a_map_after_a_resize_uses_all_workers(make_pool: MakePool) -> None:
    """As many batches of a map are out as its pool's workers can do with now."""
    pool = make_pool(1)
    pool.submit(number_of, 1).result()
    pool.resize(4)
    assert pool._max_workers == 4
    gate = Gate()
    results = pool.map(Door.__call__, [gate.door] * 8)
    gate.await_entry(4)
    gate.open()
    assert list(results) == [None] * 8


def test_a_map_that_goes_on_uses_the_workers_that_a_resize_adds(make_pool: MakePool) -> None:
    pool = make_pool(1)
    gate = Gate()
    results = pool.map(Door.__call__, [gate.door] * 20)
    gate.await_entry(1)
    pool.resize(5)
    gate.await_entry(5)
    gate.open()
    assert list(results) == [None] * 20


def test_results_that_do_not_fit_into_the_arena_together_arrive_apart(make_pool: MakePool) -> None:
    """Batches of short items are no longer than what their results leave room for."""
    pool = make_pool(1, arena_limit=8 << 20)
    assert [view.nbytes for view in pool.map(Blank, [100_000] * 1500)] == [100_000] * 1500


def test_an_item_that_cannot_be_sent_does_not_flood_the_queue(make_pool: MakePool) -> None:
    """The others of its batch are not sent one by one."""
    pool = make_pool(1)
    gate = Gate()
    held = pool.submit(gate.door)
    gate.await_entry()
    results = pool.map(
        number_of, [*range(600), threading.Lock(), *range(600)], chunksize=2000, return_exceptions=True
    )
    assert pool.stats().queued < 10
    gate.open()
    outcomes = list(results)
    assert isinstance(outcomes.pop(600), NotSerializable)
    assert outcomes == [*range(600), *range(600)]
    held.result(LONG)


def test_an_interrupt_while_a_map_is_packed_is_raised_there(make_pool: MakePool) -> None:
    """The items are sent all the same."""
    results = make_pool(1).map(number_of, [0, Interrupting(1), 2], buffersize=1)
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert list(results) == [0, 1, 2]


def test_an_interrupt_while_results_are_unpacked_is_raised_there(make_pool: MakePool) -> None:
    """It is no item's outcome, and the results are found by whoever asks next."""
    results = make_pool(1).map(Touchy, range(20), return_exceptions=True)
    Touchy.interrupts = [MemoryError, KeyboardInterrupt]
    with pytest.raises(KeyboardInterrupt):
        next(results)
    with pytest.raises(MemoryError):
        next(results)
    assert list(results) == list(range(20))


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, MemoryError])
def test_an_interrupt_while_a_result_is_looked_at_is_raised_there(
    make_pool: MakePool, interrupt: type[BaseException]
) -> None:
    """The result is there for whoever asks next."""
    future = make_pool(1).submit(Touchy, 3)
    raddle.wait([future])
    Touchy.interrupts = [interrupt]
    with pytest.raises(interrupt):
        future.result(LONG)
    assert future.result(LONG) == 3


def test_an_interrupt_while_an_error_is_looked_at_is_raised_there(make_pool: MakePool) -> None:
    future = make_pool(1).submit(touchy_error, 4)
    raddle.wait([future])
    Touchy.interrupts = [KeyboardInterrupt]
    with pytest.raises(KeyboardInterrupt):
        future.exception(LONG)
    assert str(future.exception(LONG)) == "4"


class Closing:
    """Shuts the pool down while it is pickled."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool

    def __reduce__(self) -> Any:
        self.pool.shutdown(wait=False, cancel_futures=True)
        return number_of, (7,)


def test_items_that_are_being_packed_when_the_pool_cancels_are_cancelled(make_pool: MakePool) -> None:
    pool = make_pool(1)
    with pytest.raises(CancelledError):
        list(pool.map(number_of, [Closing(pool)]))
