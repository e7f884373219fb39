"""An executor whose `submit` never returns."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import Any


class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    def submit(self, *args: Any, **kwargs: Any) -> Any:
        threading.Event().wait()
