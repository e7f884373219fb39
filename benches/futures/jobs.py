"""The tasks that the workloads submit: they do nothing, so that what is timed is the executor."""

from __future__ import annotations

from concurrent.futures import Executor


def nothing() -> None:
    """Returns at once."""


def same(value: int) -> int:
    """Returns ``value``."""
    return value


def submit_then_collect(pool: Executor, count: int) -> None:
    """Submits ``count`` no-ops, holds all their futures, then asks each for its result."""
    submit = pool.submit
    futures = [submit(nothing) for _ in range(count)]
    for future in futures:
        future.result()
