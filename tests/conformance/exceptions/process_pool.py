"""Known exceptions in test.test_concurrent_futures, process side."""

from __future__ import annotations

from . import KnownException

EXCEPTIONS: tuple[KnownException, ...] = ()
