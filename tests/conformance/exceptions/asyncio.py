"""Known exceptions in test.test_asyncio, where it meets futures and executors."""

from __future__ import annotations

from . import KnownException

EXCEPTIONS: tuple[KnownException, ...] = ()
