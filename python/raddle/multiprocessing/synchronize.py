"""`multiprocessing.synchronize`: locks, semaphores, events, conditions and barriers in shared memory."""

from multiprocessing import synchronize as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.multiprocessing.conditions import Barrier, Condition
from raddle._internal.multiprocessing.primitives import BoundedSemaphore, Event, Lock, RLock, Semaphore
from raddle._internal.replacement import replace as _replace

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]
if not TYPE_CHECKING:
    _replace(__name__, _stdlib)
