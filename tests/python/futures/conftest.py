"""Executors that each test gets fresh, and that are gone after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from raddle.futures import ThreadPoolExecutor
from tests.python.futures.support import Gate


@pytest.fixture
def make_pool() -> Iterator[Callable[..., ThreadPoolExecutor]]:
    """Make executors with `ThreadPoolExecutor`'s arguments; they are shut down after the test."""
    made: list[ThreadPoolExecutor] = []

    def make(*args: Any, **kwargs: Any) -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(*args, **kwargs)
        made.append(pool)
        return pool

    yield make
    for pool in made:
        pool.shutdown(wait=True, cancel_futures=True)


@pytest.fixture
def pool(make_pool: Callable[..., ThreadPoolExecutor]) -> ThreadPoolExecutor:
    """Two workers."""
    return make_pool(2)


@pytest.fixture
def single(make_pool: Callable[..., ThreadPoolExecutor]) -> ThreadPoolExecutor:
    """One worker, where order shows."""
    return make_pool(1)


@pytest.fixture
def gate(make_pool: object) -> Iterator[Gate]:
    """A task that waits until it is told to end, at the latest before the executors are shut down."""
    gate = Gate()
    yield gate
    gate.open()
