"""One worker for the tests of a module; a test that leaves something behind in it makes its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.python.serialization.support import Worker
from tests.python.serialization.support import worker as a_worker


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with a_worker() as made:
        yield made
