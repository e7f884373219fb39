"""Known exceptions in test.test_queue and test.test_sched."""

from __future__ import annotations

from . import KnownException

EXCEPTIONS: tuple[KnownException, ...] = (
    KnownException(
        "test_queue.CSimpleQueueTest.test_simplequeue_sizeof",
        "wants the size in bytes of the standard library's structure",
        since="3.15",
    ),
)
