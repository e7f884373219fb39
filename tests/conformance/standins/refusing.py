"""An executor that refuses all work: every test that truly runs on the replacement fails and says so."""

from __future__ import annotations

import concurrent.futures
from typing import Any

MESSAGE = "the stand-in was reached"


class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    def submit(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(MESSAGE)
