"""Known exceptions in test._test_multiprocessing, started by forkserver."""

from __future__ import annotations

from . import KnownException

EXCEPTIONS: tuple[KnownException, ...] = (
    KnownException(
        "TestFlags.test_flags",
        "starts an interpreter without site-packages, where no Raddle is",
    ),
    KnownException(
        "TestNoForkBomb.test_noforkbomb",
        "starts an interpreter with a script, which the substitution cannot reach",
    ),
    KnownException(
        "TestResourceTracker.test_resource_tracker",
        "wants the tracker to remove a semaphore by its name; Raddle's have none, so that nothing is left to remove",
    ),
    KnownException(
        "TestResourceTracker.test_resource_tracker_sigkill",
        "wants a semaphore to start the resource tracker anew; Raddle's have no use for it",
    ),
)
