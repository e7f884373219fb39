"""Capping the threads of BLAS and OpenMP libraries inside a pool's workers."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any


class _ProcessLimit:
    """The limit of BLAS libraries, which is the process's: the smallest of those whose workers live."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: Counter[int] = Counter()
        self._limiter: Any = None

    def enter(self, limit: int) -> None:
        """Count one more worker that wants `limit`, and look at the libraries that are loaded by now."""
        with self._lock:
            self._wanted[limit] += 1
            self._apply()

    def leave(self, limit: int) -> None:
        """Count one less; the last one gives the libraries back what they had."""
        with self._lock:
            self._wanted[limit] -= 1
            if not self._wanted[limit]:
                self._apply()

    def _apply(self) -> None:
        if self._limiter is not None:
            self._limiter.restore_original_limits()
            self._limiter = None
        wanted = +self._wanted
        if wanted:
            import threadpoolctl

            self._limiter = threadpoolctl.threadpool_limits(limits=min(wanted), user_api="blas")

    def forget_workers(self) -> None:
        """Start afresh in a forked child, which has none of the workers, but the limits."""
        self._lock = threading.Lock()
        self._wanted.clear()


_blas = _ProcessLimit()
os.register_at_fork(after_in_child=_blas.forget_workers)


def capping(limit: int) -> Callable[[], AbstractContextManager[None]]:
    """Make what caps native threads around a worker's life.

    Args:
        limit: threads that a native library may use for a call made by one of the pool's tasks, from 1.

    Returns:
        Makes a context manager, for each worker to enter in its own thread.

    Raises:
        ImportError: threadpoolctl is not installed.
    """
    try:
        import threadpoolctl
    except ImportError:
        raise ImportError(
            "native_threads= needs threadpoolctl: pip install 'raddle[native-threads]'"
        ) from None

    @contextlib.contextmanager
    def capped() -> Iterator[None]:
        # OpenMP's limit belongs to the calling thread, and ends with it.
        threadpoolctl.threadpool_limits(limits=limit, user_api="openmp")
        _blas.enter(limit)
        try:
            yield
        finally:
            _blas.leave(limit)

    return capped
