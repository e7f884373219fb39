"""Known exceptions in test.test_threading, test.test_thread and test.test_threading_local."""

from __future__ import annotations

from . import KnownException

EXCEPTIONS: tuple[KnownException, ...] = (
    KnownException(
        "test_threading.EventTests.test_at_fork_reinit",
        "enters `_cond`, the Condition that the standard library's Event is made of; Raddle's is made of none",
    ),
    KnownException(
        "test_threading.MiscTestCase.test__all__",
        "compares __all__ with the names of what says that it was made in `threading`; Raddle's classes say where they "
        "were made",
    ),
    KnownException(
        "test_threading.ThreadTests.test_import_from_another_thread",
        "wants a program in which `threading` has not been imported yet; the substitution imports it",
    ),
    KnownException(
        "test_threading.ThreadTests.test_lazy_import",
        "looks at what importing `threading` imports, in an interpreter without site-packages, where no Raddle is",
        since="3.14",
    ),
    KnownException(
        "test_threading.CRLockTests.test_signature",
        "wants a DeprecationWarning for arguments of RLock, which 3.15 refuses; Raddle refuses them on every version",
        since="3.13",
        until="3.14",
    ),
    KnownException(
        "test_threading.ThreadTests.test_finalize_daemon_thread_hang",
        "runs its code at the first flush of stderr, which it expects during finalization; Raddle imports logging, "
        "whose atexit handler flushes before that",
        since="3.14",
    ),
    KnownException(
        "test_threading.ThreadTests.test_disallow_instantiation",
        "wants the type of a lock not to be callable, as it was up to 3.12; Raddle's Lock is a class on every version, "
        "as the standard library's is from 3.13 on",
        until="3.12",
    ),
)
