"""`Future`: what it tells about its task, its callbacks, its tracebacks, and the stdlib's view of it."""

from __future__ import annotations

import concurrent.futures
import copy
import logging
import pickle
import threading
import time
import traceback
from typing import Any

import pytest

import raddle
from raddle.futures import CancelledError, Future, InvalidStateError, ThreadPoolExecutor
from tests.python.futures.support import LONG, Gate, until

SLACK = 1.0
"""Seconds that two clocks may be apart which are compared once, a moment after each other."""


def test_it_tells_about_its_task(single: ThreadPoolExecutor, gate: Gate) -> None:
    before = time.time()
    future = single.submit(gate)
    waiting = single.submit(pow, 2, 3)
    gate.await_entry()
    assert (future.name, waiting.name) == ("Gate", "pow")
    until(lambda: future.start is not None)
    assert future.duration is None
    assert (waiting.start, waiting.duration, waiting.worker) == (None, None, None)
    gate.open()
    waiting.result(LONG)
    after = time.time()
    assert before - SLACK <= future.start <= waiting.start <= after + SLACK
    assert future.duration is not None
    assert 0 <= future.duration <= after - before + SLACK
    assert future.worker == waiting.worker == next(iter(single._threads)).name


def test_what_it_tells_does_not_change(single: ThreadPoolExecutor) -> None:
    future = single.submit(int)
    future.result(LONG)
    assert len({(future.start, future.duration) for _ in range(200)}) == 1


def test_names_are_qualified(single: ThreadPoolExecutor) -> None:
    def inner() -> None:
        pass

    name = single.submit(inner).name
    assert name is not None
    assert name.endswith("inner")
    assert Future().name is None


def test_tracebacks_show_where_the_worker_was(single: ThreadPoolExecutor) -> None:
    def deep() -> None:
        raise KeyError("x")

    def shallow() -> None:
        deep()

    for view in (single, single.options(timeout=LONG)):
        future = view.submit(shallow)
        with pytest.raises(KeyError) as raised:
            future.result(LONG)
        names = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
        assert names[-2:] == ["shallow", "deep"]
    with pytest.raises(KeyError) as raised:
        list(single.map(lambda _: shallow(), [1]))
    assert [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)][-2:] == [
        "shallow",
        "deep",
    ]


class TestCallbacks:
    def test_run_in_order_in_the_worker_or_at_once(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        calls: list[Any] = []
        future = single.submit(gate, 5)
        for number in range(3):
            future.add_done_callback(
                lambda f, n=number: calls.append((n, f, threading.current_thread().name))
            )
        gate.open()
        until(lambda: len(calls) == 3)
        assert calls == [(number, future, future.worker) for number in range(3)]
        future.add_done_callback(lambda f: calls.append(threading.current_thread()))
        assert calls[-1] is threading.current_thread()

    def test_one_that_raises_is_logged_and_hurts_nobody(
        self, single: ThreadPoolExecutor, gate: Gate, caplog: pytest.LogCaptureFixture
    ) -> None:
        calls: list[Any] = []
        future = single.submit(gate)

        def fail(_: Future[Any]) -> None:
            raise ValueError("from the callback")

        future.add_done_callback(fail)
        future.add_done_callback(calls.append)
        with caplog.at_level(logging.ERROR, "concurrent.futures"):
            gate.open()
            until(lambda: calls)
            future.add_done_callback(fail)
        assert caplog.text.count("exception calling callback") == 2
        assert "ValueError: from the callback" in caplog.text
        assert single.submit(pow, 2, 3).result(LONG) == 8

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_one_that_exits_hurts_nobody(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        calls: list[Any] = []
        future = single.submit(gate)

        def leave(_: Future[Any]) -> None:
            raise SystemExit

        future.add_done_callback(leave)
        future.add_done_callback(calls.append)
        gate.open()
        until(lambda: calls)
        assert single.submit(pow, 2, 3).result(LONG) == 8

    def test_run_for_a_cancelled_future_too(self) -> None:
        calls: list[Any] = []
        future: Future[int] = Future()
        future.add_done_callback(calls.append)
        assert future.cancel()
        assert calls == [future]

    def test_may_submit_and_wait(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        results: list[int] = []
        future = single.submit(gate)
        future.add_done_callback(lambda _: results.append(single.submit(pow, 2, 3).result(LONG)))
        gate.open()
        until(lambda: results == [8])


class TestCancellation:
    def test_of_a_queued_task(self, single: ThreadPoolExecutor, gate: Gate) -> None:
        running = single.submit(gate)
        gate.await_entry()
        calls: list[int] = []
        queued = single.submit(calls.append, 1)
        assert queued.cancel()
        assert queued.cancel()
        assert not running.cancel()
        with pytest.raises(CancelledError):
            queued.result()
        with pytest.raises(CancelledError):
            queued.exception()
        gate.open()
        single.submit(int).result(LONG)
        assert calls == []

    def test_wakes_whoever_waits(self) -> None:
        future: Future[int] = Future()
        outcomes: list[type] = []

        def wait() -> None:
            try:
                future.result(LONG)
            except CancelledError as error:
                outcomes.append(type(error))

        threads = [threading.Thread(target=wait) for _ in range(5)]
        for thread in threads:
            thread.start()
        future.cancel()
        for thread in threads:
            thread.join(LONG)
        assert outcomes == [CancelledError] * 5


def test_a_result_reaches_all_that_wait() -> None:
    future: Future[object] = Future()
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(future.result(LONG))) for _ in range(8)]
    for thread in threads:
        thread.start()
    value = object()
    future.set_result(value)
    for thread in threads:
        thread.join(LONG)
    assert got == [value] * 8


def test_timeouts_of_waiting() -> None:
    future: Future[int] = Future()
    for timeout in (0, -1, 0.01, 1e-9):
        with pytest.raises(raddle.TimeoutError):
            future.result(timeout)
        with pytest.raises(raddle.TimeoutError):
            future.exception(timeout)
    future.set_result(1)
    assert future.result(float("inf")) == future.result(1e300) == future.result(0) == 1
    with pytest.raises(TypeError):
        Future().result("1")  # type: ignore[arg-type]


def test_an_outcome_is_final() -> None:
    future: Future[int] = Future()
    future.set_result(1)
    with pytest.raises(InvalidStateError):
        future.set_result(2)
    with pytest.raises(InvalidStateError):
        future.set_exception(ValueError())
    assert future.result() == 1
    assert not future.cancel()
    with pytest.raises(TypeError):
        Future().set_exception(5)  # type: ignore[arg-type]


def test_it_is_not_copied_or_pickled() -> None:
    for operation in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            operation(Future())


def test_a_copy_of_an_executor_is_the_executor(single: ThreadPoolExecutor) -> None:
    assert copy.copy(single) is copy.deepcopy(single) is pickle.loads(pickle.dumps(single)) is single


def test_it_is_used_like_any_object() -> None:
    future: Future[int] = Future()
    assert isinstance(future, concurrent.futures.Future)
    assert len({future, future, Future()}) == 2
    future.note = "mine"  # type: ignore[attr-defined]
    assert Future[int] is not None
    assert "pending" in repr(future)

    class Special(Future[int]):
        def __init__(self, extra: int) -> None:
            super().__init__()
            self.extra = extra

    assert Special(3).extra == 3


def test_the_stdlib_uses_its_private_parts(pool: ThreadPoolExecutor, gate: Gate) -> None:
    future = pool.submit(gate, 5)
    with future._condition:
        assert future._state in ("PENDING", "RUNNING")
    assert concurrent.futures.wait([future], 0).not_done == {future}
    gate.open()
    assert concurrent.futures.wait([future], LONG).done == {future}
    assert list(concurrent.futures.as_completed([future], LONG)) == [future]
    assert (future._state, future._result, future._exception) == ("FINISHED", 5, None)
