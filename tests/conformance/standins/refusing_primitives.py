"""Primitives and queues that tests can't make: every test that makes one of the replacement fails and says so.

Others can, because much of the standard library makes locks while it is imported.
"""

from __future__ import annotations

import _thread
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from .refusing import MESSAGE


def refusing(make: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*args: Any, **options: Any) -> Any:
        caller = sys._getframe(1)
        in_a_test = caller.f_globals["__name__"].startswith(("test.", "conformance.locks"))
        if in_a_test and caller.f_code.co_name != "<module>":
            raise RuntimeError(MESSAGE)
        return make(*args, **options)

    return refuse


Lock = refusing(threading.Lock)
RLock = refusing(_thread.RLock)
Condition = refusing(threading.Condition)
Event = refusing(threading.Event)
Semaphore = refusing(threading.Semaphore)
BoundedSemaphore = refusing(threading.BoundedSemaphore)
Barrier = refusing(threading.Barrier)
allocate_lock = refusing(_thread.allocate_lock)
Queue = refusing(queue.Queue)
LifoQueue = refusing(queue.LifoQueue)
PriorityQueue = refusing(queue.PriorityQueue)
SimpleQueue = refusing(queue.SimpleQueue)
