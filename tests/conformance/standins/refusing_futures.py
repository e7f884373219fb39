"""A `Future` that cannot be made: every test that makes one of the replacement fails and says so."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from .refusing import MESSAGE


class Future(concurrent.futures.Future[Any]):
    def __init__(self) -> None:
        raise RuntimeError(MESSAGE)
