"""Known exceptions in test._test_multiprocessing, started by spawn."""

from __future__ import annotations

from . import KnownException

EXCEPTIONS: tuple[KnownException, ...] = (
    KnownException(
        "MiscTestCase.test_spawn_sys_executable_none_allows_import",
        "wants a program in which `multiprocessing` has not been imported yet; the substitution imports it",
        since="3.11",
    ),
    KnownException(
        "TestNamedResource.test_global_named_resource_spawn",
        "starts an interpreter with a script, which the substitution cannot reach",
    ),
    KnownException(
        "TestStartMethod.test_mixed_startmethod",
        "wants a lock of the context for fork to be refused by a spawned process; Raddle's works there",
        since="3.11",
    ),
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
