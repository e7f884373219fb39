"""Every kind of queue: native, with hooks, and with items that have become Python's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from raddle.queue import Queue
from tests.python.queue.support import BASES, Crew, hooked, touched


@pytest.fixture(params=BASES, ids=lambda base: base.__name__)
def base(request: pytest.FixtureRequest) -> type[Queue[Any]]:
    """One of the three classes."""
    found: type[Queue[Any]] = request.param
    return found


@pytest.fixture(params=["native", "hooked", "touched"])
def make(request: pytest.FixtureRequest, base: type[Queue[Any]]) -> Callable[..., Queue[Any]]:
    """Make a queue of the class, whose items stand in Rust or in Python."""
    if request.param == "native":
        return base
    return hooked(base) if request.param == "hooked" else touched(base)


@pytest.fixture
def crew() -> Iterator[Crew]:
    """Threads that are joined after the test."""
    crew = Crew()
    yield crew
    crew.join()
