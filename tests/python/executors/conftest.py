"""One executor of each kind for every test, fresh, and gone after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.python.executors.gates import Gate
from tests.python.executors.jobs import Journal
from tests.python.executors.kinds import KINDS, Kind


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The kind of executor that the test is about."""
    found: Kind = request.param
    return found


@pytest.fixture
def make_pool(kind: Kind) -> Iterator[Callable[..., Any]]:
    """Make executors with the arguments of their class; they are shut down after the test."""
    made: list[Any] = []

    def make(*args: Any, **kwargs: Any) -> Any:
        pool = kind.executor(*args, **kwargs)
        made.append(pool)
        return pool

    yield make
    for pool in made:
        pool.shutdown(wait=True, cancel_futures=True)


@pytest.fixture
def pool(make_pool: Callable[..., Any]) -> Any:
    """Two workers."""
    return make_pool(2)


@pytest.fixture
def single(make_pool: Callable[..., Any]) -> Any:
    """One worker, where order shows."""
    return make_pool(1)


@pytest.fixture
def gates(make_pool: object) -> Iterator[Callable[[], Gate]]:
    """Make gates; they are opened before the executors are shut down."""
    made: list[Gate] = []

    def make() -> Gate:
        made.append(Gate())
        return made[-1]

    yield make
    for gate in made:
        gate.close()


@pytest.fixture
def gate(gates: Callable[[], Gate]) -> Gate:
    """One gate."""
    return gates()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """An empty journal."""
    return Journal(tmp_path / "journal")
