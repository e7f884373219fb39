"""An executor whose `submit` takes the process down."""

from __future__ import annotations

import concurrent.futures
import os
import signal
from typing import Any


class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    def submit(self, *args: Any, **kwargs: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)
