"""Primitives of `raddle.multiprocessing` as arguments of tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raddle import NotSerializable, multiprocessing
from raddle.futures import ProcessPoolExecutor


def meet(thing: Any, what: str, *args: Any) -> Any:
    return getattr(thing, what)(*args)


def hold(lock: Any, taken: Any, go: Any) -> None:
    with lock:
        taken.set()
        go.wait()


def notify(condition: Any) -> None:
    with condition:
        condition.notify_all()


@pytest.mark.parametrize("start", ["zygote", "spawn", "fork"])
def test_they_are_the_callers_own(start: Any) -> None:
    context = multiprocessing.get_context("spawn")
    lock, taken, go = context.Lock(), context.Event(), context.Event()
    semaphore, condition = context.Semaphore(1), context.Condition()
    with ProcessPoolExecutor(2, start=start) as pool:
        holding = pool.submit(hold, lock, taken, go)
        taken.wait()
        assert not lock.acquire(block=False)
        go.set()
        holding.result()
        assert lock.acquire(block=False)
        lock.release()
        assert pool.submit(meet, semaphore, "acquire").result()
        assert semaphore.get_value() == 0
        with condition:
            notifying = pool.submit(notify, condition)
            assert condition.wait(30)
        notifying.result()


@pytest.mark.parametrize("wrap", [lambda end: end, lambda end: (end, 1), lambda end: {"end": [end]}])
def test_a_pipe_is_refused_as_an_argument_and_stays_open(wrap: Callable[[Any], Any]) -> None:
    reader, writer = multiprocessing.Pipe(duplex=False)
    with ProcessPoolExecutor(1) as pool:
        error = pool.submit(id, wrap(writer)).exception(60)
        assert isinstance(error, NotSerializable)
        assert "initargs" in str(error)
        assert pool.submit(abs, -1).result(60) == 1
    writer.send("still open")
    assert reader.recv() == "still open"
