"""`raddle.share`: put once, mapped by every worker, unpickled once by each."""

from __future__ import annotations

import contextvars
import copy
import functools
import gc
import operator
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raddle
from raddle.futures import ProcessPoolExecutor


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(max_workers=2) as pool:
        yield pool


class Counted:
    """Tells how often it was unpickled in this process."""

    made = 0

    def __setstate__(self, state: dict[str, Any]) -> None:
        Counted.made += 1
        self.__dict__.update(state)

    def __getstate__(self) -> dict[str, Any]:
        return {"name": "counted"}


def unpicklings(counted: Counted, _: int) -> tuple[int, int]:
    return os.getpid(), type(counted).made


def sum_of(data: dict[str, Any], key: str) -> int:
    return sum(data[key][0])


def length(data: Any) -> int:
    return len(data)


def describe(array: Any) -> tuple[bool, bool]:
    return array.flags.writeable, array.flags.owndata


def change(mapping: dict[str, int]) -> int:
    mapping["changes"] = mapping.get("changes", 0) + 1
    return mapping["changes"]


def mappings() -> int:
    return Path("/proc/self/maps").read_text().count("memfd:raddle-share")


def test_it_arrives_as_the_object_itself(pool: ProcessPoolExecutor) -> None:
    words = raddle.share(["warp", "weft"])
    assert pool.submit(list, words).result() == ["warp", "weft"]
    assert pool.submit(len, words).result() == 2
    assert words.get() == ["warp", "weft"]


def test_it_may_stand_anywhere_inside_an_argument(pool: ProcessPoolExecutor) -> None:
    numbers = raddle.share(list(range(1000)))
    data = {"a": [numbers], "b": (numbers, 1)}
    assert pool.submit(sum_of, data, key="a").result() == 499500
    assert list(pool.map(sum_of, [data] * 3, ["a", "b", "a"])) == [499500] * 3


def test_each_worker_unpickles_it_once(pool: ProcessPoolExecutor) -> None:
    handle = raddle.share(Counted())
    for _, made in pool.map(unpicklings, [handle] * 100, range(100), chunksize=1):
        assert made == 1


def test_its_buffers_are_read_only_and_not_copied(pool: ProcessPoolExecutor) -> None:
    numpy = pytest.importorskip("numpy")
    handle = raddle.share(numpy.ones(100_000))
    assert pool.submit(describe, handle).result() == (False, False)
    assert describe(handle.get()) == (False, False)


def test_other_changes_stay_in_the_worker() -> None:
    handle = raddle.share({"changes": 0})
    with ProcessPoolExecutor(max_workers=1) as pool:
        assert [pool.submit(change, handle).result() for _ in range(3)] == [1, 2, 3]
        assert pool.submit(change, {"changes": 0}).result() == 1
    assert handle.get() == {"changes": 0}


def test_the_handle_may_go_once_tasks_are_submitted(pool: ProcessPoolExecutor) -> None:
    futures = [pool.submit(sum, raddle.share([i] * 10_000)) for i in range(20)]
    gc.collect()
    assert [future.result() for future in futures] == [10_000 * i for i in range(20)]


def test_memory_is_freed_when_handles_and_tasks_are_gone() -> None:
    with ProcessPoolExecutor(max_workers=1) as pool:
        handle = raddle.share(bytearray(1_000_000))
        assert pool.submit(length, handle).result() == 1_000_000
        assert mappings() == 1
        assert pool.submit(mappings).result() == 1
        del handle
        gc.collect()
        assert mappings() == 0
        deadline = time.monotonic() + 30
        while pool.submit(mappings).result() and time.monotonic() < deadline:
            pass  # the worker looks when it next has nothing to do
        assert pool.submit(mappings).result() == 0


def keep(data: Any) -> None:
    global kept
    kept = data


kept: Any = None
current: contextvars.ContextVar[Any] = contextvars.ContextVar("current")


def kept_and(number: int) -> tuple[int, int]:
    return sum(kept), number


def current_sum() -> int:
    return sum(current.get())


@pytest.mark.parametrize("start", ["zygote", "spawn", "fork"])
def test_an_initializer_may_be_given_it(start: Any) -> None:
    with ProcessPoolExecutor(1, initializer=keep, initargs=(raddle.share([1, 2]),), start=start) as pool:
        gc.collect()
        assert pool.submit(kept_and, 3).result() == (3, 3)


def test_functions_and_contexts_may_hold_it(pool: ProcessPoolExecutor) -> None:
    handle = raddle.share([1, 2])
    assert list(pool.map(functools.partial(operator.add, [0]), [handle])) == [[0, 1, 2]]
    assert list(pool.map(functools.partial(operator.contains, handle), [1, 3])) == [True, False]
    assert list(pool.map(lambda number: sum(handle) + number, [1, 2])) == [4, 5]
    current.set(raddle.share([4, 5]))
    gc.collect()
    assert pool.submit(current_sum).result() == 9


def summing(data: Any) -> Any:
    return lambda: sum(data)


def test_a_function_keeps_it_as_long_as_it_waits() -> None:
    with ProcessPoolExecutor(1) as pool:
        first = pool.submit(time.sleep, 0.1)
        future = pool.submit(summing(raddle.share([1, 2])))
        gc.collect()
        first.result()
        assert future.result() == 3


def test_a_handle_can_only_be_sent_to_workers() -> None:
    handle = raddle.share(1)
    for attempt in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="only be sent from the process that made it"):
            attempt(handle)


def test_what_can_not_be_pickled_is_named() -> None:
    with pytest.raises(raddle.NotSerializable, match="lock"):
        raddle.share({"lock": __import__("_thread").allocate_lock()})


def test_a_forked_child_can_use_it_and_ends_nothing(pool: ProcessPoolExecutor) -> None:
    handle = raddle.share([1, 2])
    child = os.fork()
    if child == 0:
        fine = handle.get() == [1, 2]
        del handle
        gc.collect()
        os._exit(not fine)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pool.submit(sum, handle).result() == 3
