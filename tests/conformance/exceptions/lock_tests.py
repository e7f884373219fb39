"""Known exceptions in test.lock_tests, bound to each class of `raddle.threading`."""

from __future__ import annotations

from . import KnownException

EXCEPTIONS: tuple[KnownException, ...] = (
    KnownException(
        "locks.EventTests.test_at_fork_reinit",
        "enters `_cond`, the Condition that the standard library's Event is made of; Raddle's is made of none",
    ),
)
