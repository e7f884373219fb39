"""Known exceptions in the tests elsewhere in the standard library that run on a thread pool."""

from __future__ import annotations

from . import KnownException

EXCEPTIONS: tuple[KnownException, ...] = ()
