"""The tasks that the workloads hand to worker processes; importable there, and light to import."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import Any


def nothing() -> None:
    """Returns at once."""


def same(value: Any) -> Any:
    """Returns ``value``."""
    return value


def hold(seconds: float) -> None:
    """Keeps a processor busy until so many seconds have gone by."""
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        pass


def compute(rounds: int) -> int:
    """Counts to ``rounds``: as much work as it is, however often it is interrupted."""
    total = 0
    for number in range(rounds):
        total += number
    return total


def pause(seconds: float) -> int:
    """Sleeps, so that another worker takes the next task; returns the worker's process id."""
    time.sleep(seconds)
    return os.getpid()


def pause_with_numpy(seconds: float) -> int:
    """Does the same, and has numpy imported by then."""
    import numpy  # noqa: F401

    return pause(seconds)


def ends(data: Any) -> tuple[int, float]:
    """Returns the length of an array or of bytes, and what its first and its last item add up to."""
    return len(data), float(data[0]) + float(data[-1])


@lru_cache(maxsize=1)
def kept(length: int) -> Any:
    """Returns an array of so many floats that the worker made when it was first asked."""
    import numpy as np

    return np.ones(length)


def keep(length: int, seconds: float) -> int:
    """Makes the array that :func:`give` returns, then does as :func:`pause`."""
    kept(length)
    return pause(seconds)


def give(length: int) -> Any:
    """Returns a kept array: a plain function, as pickle finds it by its name."""
    return kept(length)
