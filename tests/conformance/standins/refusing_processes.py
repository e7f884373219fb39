"""A `ProcessPoolExecutor` that refuses all work; its threads and futures are the interpreter's own."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from .refusing import MESSAGE, ThreadPoolExecutor

__all__ = ["ProcessPoolExecutor", "ThreadPoolExecutor"]


class ProcessPoolExecutor(concurrent.futures.ProcessPoolExecutor):
    def submit(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(MESSAGE)
