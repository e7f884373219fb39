"""What tests of worker processes share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from raddle.futures import ProcessPoolExecutor
from tests.python.processes.support import MakePool


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    """Make executors; they are shut down after the test."""
    made: list[ProcessPoolExecutor] = []

    def make(*args: Any, **kwargs: Any) -> ProcessPoolExecutor:
        made.append(ProcessPoolExecutor(*args, **kwargs))
        return made[-1]

    yield make
    for pool in made:
        pool.shutdown(wait=True, cancel_futures=True)
