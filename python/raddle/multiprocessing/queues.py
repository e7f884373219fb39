"""`multiprocessing.queues`: queues in shared memory."""

from multiprocessing import queues as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.multiprocessing.queues import JoinableQueue, Queue, SimpleQueue
from raddle._internal.replacement import replace as _replace

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]
if not TYPE_CHECKING:
    _replace(__name__, _stdlib)
