"""`wait` and `as_completed` that refuse: every test that calls one of the replacement's fails and says so."""

from __future__ import annotations

from typing import Any

from .refusing import MESSAGE


def wait(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError(MESSAGE)


def as_completed(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError(MESSAGE)
