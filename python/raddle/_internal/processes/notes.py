"""What workers say besides their results, on the parent's side."""

from __future__ import annotations

import warnings

COMPLAINT = 0
"""The pool's own: something went wrong that no task can tell. A text."""


def receive(_worker: str, kind: int, body: bytes) -> None:
    """Take a note. Called in the thread that collects results."""
    if kind == COMPLAINT:
        warnings.warn(body.decode("utf-8", "replace"), RuntimeWarning, stacklevel=1)
