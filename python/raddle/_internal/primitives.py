"""The native primitives, as `raddle.threading` exports them."""

from raddle._internal import bound  # noqa: F401  (what the native half needs of Python)
from raddle._raddle import (
    AtomicInt,
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    Latch,
    Lock,
    RLock,
    RWLock,
    Semaphore,
)

__all__ = [
    "AtomicInt",
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Latch",
    "Lock",
    "RLock",
    "RWLock",
    "Semaphore",
]
