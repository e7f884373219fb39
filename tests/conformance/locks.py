"""`test.lock_tests`, bound to each class of `threading`, and to the variants that only the replacement has.

`test.test_threading` binds the same tests to the names of the standard library. Here nothing depends on these names:
the classes come from the module that takes the place of `threading`.
"""

from __future__ import annotations

import unittest
from typing import Any

from . import substitution

try:
    from test import lock_tests  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    raise unittest.SkipTest("this build of Python ships without test.lock_tests") from None

threading: Any = substitution.taking("threading")
thread: Any = substitution.taking("_thread")
#: First come, first served. The standard library has no such variant, so its own is tested twice.
FAIR: dict[str, Any] = {} if threading.__name__ == "threading" else {"fair": True}


class LockTests(lock_tests.LockTests):  # type: ignore[misc,unused-ignore]
    locktype = staticmethod(threading.Lock)


class FairLockTests(lock_tests.LockTests):  # type: ignore[misc,unused-ignore]
    @staticmethod
    def locktype() -> Any:
        return threading.Lock(**FAIR)


class AllocatedLockTests(lock_tests.LockTests):  # type: ignore[misc,unused-ignore]
    locktype = staticmethod(thread.allocate_lock)


class RLockTests(lock_tests.RLockTests):  # type: ignore[misc,unused-ignore]
    locktype = staticmethod(threading.RLock)


class ConditionAsRLockTests(lock_tests.RLockTests):  # type: ignore[misc,unused-ignore]
    locktype = staticmethod(threading.Condition)

    # The two exceptions that test.test_threading makes for conditions.
    def test_constructor_noargs(self) -> None:
        self.skipTest("Condition allows positional arguments")

    def test_recursion_count(self) -> None:
        self.skipTest("Condition does not expose _recursion_count()")


class ConditionTests(lock_tests.ConditionTests):  # type: ignore[misc,unused-ignore]
    condtype = staticmethod(threading.Condition)


class ConditionOverLockTests(lock_tests.ConditionTests):  # type: ignore[misc,unused-ignore]
    @staticmethod
    def condtype(lock: Any = None) -> Any:
        return threading.Condition(threading.Lock() if lock is None else lock)

    def test_acquire(self) -> None:
        self.skipTest("acquires it twice, which only a condition over an RLock allows")


class EventTests(lock_tests.EventTests):  # type: ignore[misc,unused-ignore]
    eventtype = staticmethod(threading.Event)


class SemaphoreTests(lock_tests.SemaphoreTests):  # type: ignore[misc,unused-ignore]
    semtype = staticmethod(threading.Semaphore)


class FairSemaphoreTests(lock_tests.SemaphoreTests):  # type: ignore[misc,unused-ignore]
    @staticmethod
    def semtype(value: int = 1) -> Any:
        return threading.Semaphore(value, **FAIR)


class BoundedSemaphoreTests(lock_tests.BoundedSemaphoreTests):  # type: ignore[misc,unused-ignore]
    semtype = staticmethod(threading.BoundedSemaphore)


class BarrierTests(lock_tests.BarrierTests):  # type: ignore[misc,unused-ignore]
    barriertype = staticmethod(threading.Barrier)
