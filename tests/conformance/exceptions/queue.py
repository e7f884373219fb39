"""Known exceptions in test.test_queue and test.test_sched."""

from __future__ import annotations

from . import KnownException

EXCEPTIONS: tuple[KnownException, ...] = ()
