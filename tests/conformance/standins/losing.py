"""An executor that does its work, and loses an exception in a thread of its own each time."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import Any

from .refusing import MESSAGE


def lose() -> None:
    raise RuntimeError(MESSAGE)


class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    def submit(self, *args: Any, **kwargs: Any) -> Any:
        thread = threading.Thread(target=lose)
        thread.start()
        thread.join()
        return super().submit(*args, **kwargs)
