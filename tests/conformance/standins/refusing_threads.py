"""Threads that don't start: every test that starts one of the replacement, also in a child interpreter, says so."""

from __future__ import annotations

import _thread
import threading
from typing import Any

from .refusing import MESSAGE


class Thread(threading.Thread):
    def start(self) -> None:
        raise RuntimeError(MESSAGE)


def start_new_thread(*args: Any) -> int:
    """Does what the original does: the tests' own helpers start threads by it."""
    return _thread.start_new_thread(*args)
