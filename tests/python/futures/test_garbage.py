"""What is no longer needed goes away: arguments, results, cycles, executors and their threads."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import raddle
from raddle.futures import Future, ThreadPoolExecutor
from tests.python.futures.support import LONG, until


class Thing:
    """Something that a weak reference can point to."""


def gone(reference: weakref.ref[Any], seconds: float = LONG) -> bool:
    """Whether an object goes. A worker that has just told its outcome lets go of it a moment later."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while reference() is not None and time.monotonic() < deadline:
        pause.wait(0.001)
    return reference() is None


def freed(make: Callable[[], Any]) -> bool:
    """Whether what `make` returns goes without a collection."""
    gc.collect()
    gc.disable()
    try:
        return gone(weakref.ref(make()))
    finally:
        gc.enable()


def collected(make: Callable[[], Any]) -> bool:
    """Whether what `make` returns is gone after a collection."""
    reference = weakref.ref(make())
    deadline = time.monotonic() + LONG
    pause = threading.Event()
    while True:
        gc.collect()
        if reference() is None:
            return True
        if time.monotonic() > deadline:
            return False
        # A worker that has just told its outcome lets go of it a moment later.
        pause.wait(0.02)


@pytest.fixture(params=["plain", "options"])
def view(request: pytest.FixtureRequest, single: ThreadPoolExecutor) -> Any:
    """One worker, without options and with."""
    return single if request.param == "plain" else single.options(timeout=LONG, retries=1)


def test_arguments_are_gone_when_the_result_is_there(view: Any) -> None:
    thing = Thing()
    reference = weakref.ref(thing)
    future = view.submit(lambda thing: 5, thing)
    closure = view.submit(lambda thing=thing: 5)
    del thing
    assert (future.result(LONG), closure.result(LONG)) == (5, 5)
    until(lambda: reference() is None)


def test_a_result_lives_as_long_as_its_future(view: Any) -> None:
    future = view.submit(Thing)
    reference = weakref.ref(future.result(LONG))
    view.submit(int).result(LONG)
    assert reference() is not None
    del future
    until(lambda: reference() is None)


def test_results_that_nobody_wants_are_dropped(view: Any) -> None:
    references: list[weakref.ref[Thing]] = []

    def make(_: int) -> Thing:
        thing = Thing()
        references.append(weakref.ref(thing))
        return thing

    for _ in range(20):
        view.submit(make, 0)
    view.submit(int).result(LONG)
    for thing in view.map(make, range(20)):
        del thing
    until(lambda: len(references) == 40 and not any(reference() for reference in references))


def test_cancelled_tasks_let_go_of_their_arguments(single: ThreadPoolExecutor) -> None:
    never: Future[int] = Future()
    thing = Thing()
    reference = weakref.ref(thing)
    dependant = single.options(after=never).submit(id, thing)
    del thing
    dependant.cancel()
    assert reference() is None


def test_cycles_through_a_future() -> None:
    def through_callback() -> Future[Any]:
        future: Future[Any] = Future()
        future.add_done_callback(lambda _: future)
        return future

    def through_result() -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result([future])
        return future

    def through_attribute() -> Future[Any]:
        future: Future[Any] = Future()
        future.me = future  # type: ignore[attr-defined]
        return future

    def through_exception() -> Future[Any]:
        future: Future[Any] = Future()
        error = ValueError()
        error.future = future  # type: ignore[attr-defined]
        future.set_exception(error)
        return future

    def through_condition() -> Future[Any]:
        future: Future[Any] = Future()
        future._condition.me = future  # type: ignore[attr-defined]
        future._waiters.append(future)
        return future

    def through_iteration() -> Future[Any]:
        future: Future[Any] = Future()
        future.iteration = raddle.as_completed([future])  # type: ignore[attr-defined]
        return future

    makers = [through_callback, through_result, through_attribute, through_exception, through_condition]
    assert [maker.__name__ for maker in [*makers, through_iteration] if not collected(maker)] == []


def test_the_traceback_of_a_task_holds_no_cycle(single: ThreadPoolExecutor) -> None:
    def fail() -> None:
        raise ValueError

    def make() -> Future[Any]:
        future = single.submit(fail)
        try:
            future.result(LONG)
        except ValueError as error:
            future.error = error  # type: ignore[attr-defined]
        return future

    assert collected(make)


def test_errors_on_their_way_leave_no_cycle(single: ThreadPoolExecutor) -> None:
    class Failure(Exception):
        """One that a weak reference can point to."""

    def fail(*_: object) -> None:
        raise Failure

    async def awaited() -> Failure:
        # Caught here: asyncio's own way out of a loop holds a cycle.
        try:
            await single.submit(fail)
        except Failure as error:
            return error
        raise AssertionError("nothing was raised")

    def failing_input() -> Iterator[int]:
        yield 1
        raise Failure

    def caught(ways: Callable[[], object]) -> Failure:
        try:
            outcome = ways()
        except Failure as error:
            return error
        if isinstance(outcome, Failure):
            return outcome
        raise AssertionError("nothing was raised")

    retrying = single.options(retries=1, retry_on=KeyError)
    loop = asyncio.new_event_loop()
    try:
        ways: dict[str, Callable[[], object]] = {
            "result": lambda: single.submit(fail).result(LONG),
            "await": lambda: loop.run_until_complete(awaited()),
            "map": lambda: list(single.map(fail, [1])),
            "map of tasks": lambda: list(retrying.map(fail, [1])),
            "input": lambda: list(retrying.map(abs, failing_input())),
            "input ahead": lambda: list(retrying.map(abs, failing_input(), buffersize=1)),
        }
        assert [name for name, way in ways.items() if not freed(lambda way=way: caught(way))] == []
    finally:
        loop.close()


def test_a_dropped_map_is_closed_at_once_also_with_a_failed_input(single: ThreadPoolExecutor) -> None:
    def inputs() -> Iterator[int]:
        yield from range(3)
        raise KeyError

    def dropped() -> Any:
        results = single.options(retries=1).map(abs, inputs(), buffersize=3)
        next(results)
        return results

    assert freed(dropped)


def test_an_executor_nobody_has_ends_its_threads() -> None:
    pool = ThreadPoolExecutor(3)
    raddle.wait([pool.submit(int) for _ in range(10)])
    late = [pool.submit(pow, 2, number) for number in range(10)]
    threads = pool._threads
    reference = weakref.ref(pool)
    del pool
    assert reference() is None
    for thread in threads:
        thread.join(LONG)
    assert not any(thread.is_alive() for thread in threads)
    assert [future.result(0) for future in late] == [2**number for number in range(10)]


def test_cycles_through_an_executor() -> None:
    class Owner(ThreadPoolExecutor):
        def __init__(self) -> None:
            super().__init__(1, initializer=self.prepare)

        def prepare(self) -> None:
            pass

    def through_attribute() -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(1)
        pool.me = pool  # type: ignore[attr-defined]
        pool.view = pool.options(priority=1, backoff=lambda _: pool)  # type: ignore[attr-defined]
        pool.submit(int).result(LONG)
        return pool

    def through_map() -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(1)
        pool.items = pool.map(abs, range(3))  # type: ignore[attr-defined]
        pool.others = pool.options(retries=1).map(abs, range(3))  # type: ignore[attr-defined]
        return pool

    def through_initializer() -> ThreadPoolExecutor:
        return Owner()

    makers = [through_attribute, through_map, through_initializer]
    assert [maker.__name__ for maker in makers if not collected(maker)] == []
