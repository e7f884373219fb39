"""Warm worker processes behind one small interface, whatever the library calls its methods.

What a workload times is the library's own way of doing it: ``multiprocessing.Pool`` spreads tasks with ``map`` and a
chunk size of one, joblib with a generator of delayed calls, ray with remote functions.
"""

# ruff: noqa: D102  (what a method does stands in `Pool`)

from __future__ import annotations

import multiprocessing
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import lru_cache, partial
from typing import Any

from benches.processes.jobs import nothing, pause, same

#: How the stdlib's workers are started here: nothing is forked from a process in which other libraries run threads.
START = "forkserver"
_TRIES = 50


class Pool(ABC):
    """Worker processes of one library."""

    @abstractmethod
    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Runs one task and waits for its result."""

    @abstractmethod
    def spread(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Runs a task for each item, all of them submitted before the first result is asked for."""

    def flood(self, count: int) -> None:
        """Runs so many tasks that do nothing, all of them submitted before the first result is asked for."""
        self.spread(same, range(count))

    def map(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> None:
        """Maps and consumes the results, where nobody says a chunk size."""
        raise NotImplementedError(f"no workload maps over a {type(self).__name__}")

    @abstractmethod
    def close(self) -> None:
        """Ends the workers."""

    def warmed(self, workers: int, task: Callable[[float], int] = pause) -> Pool:
        """Returns the pool once each of its ``workers`` processes has run ``task``, which returns its process id.

        Raises:
            RuntimeError: some never do.
        """
        seen: set[int] = set()
        for _ in range(_TRIES):
            seen.update(self.spread(task, [0.02] * (2 * workers)))
            if len(seen) >= workers:
                return self
        raise RuntimeError(f"{len(seen)} of {workers} workers of {type(self).__name__} take tasks")


class Executors(Pool):
    """Whatever has the interface of ``concurrent.futures``: the stdlib's pool, Raddle's, loky's, zooparallel's."""

    def __init__(self, executor: Executor | Any) -> None:
        self.executor = executor

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        return self.executor.submit(fn, *args).result()

    def spread(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        submit = self.executor.submit
        futures = [submit(fn, item) for item in items]
        return [future.result() for future in futures]

    def flood(self, count: int) -> None:
        submit = self.executor.submit
        futures = [submit(nothing) for _ in range(count)]
        for future in futures:
            future.result()

    def map(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> None:
        deque(self.executor.map(fn, items), maxlen=0)

    def close(self) -> None:
        self.executor.shutdown()


class Stdlib(Pool):
    """``multiprocessing.Pool``."""

    def __init__(self, workers: int) -> None:
        self._pool = multiprocessing.get_context(START).Pool(workers)

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        return self._pool.apply(fn, args)

    def spread(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return self._pool.map(fn, items, chunksize=1)

    def map(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> None:
        self._pool.map(fn, items)

    def close(self) -> None:
        self._pool.close()
        self._pool.join()


class Pebble(Pool):
    """``pebble.ProcessPool``."""

    def __init__(self, workers: int) -> None:
        import pebble

        self._pool = pebble.ProcessPool(workers, context=multiprocessing.get_context(START))

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        return self._pool.schedule(fn, args=args).result()

    def spread(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        schedule = self._pool.schedule
        futures = [schedule(fn, (item,)) for item in items]
        return [future.result() for future in futures]

    def close(self) -> None:
        self._pool.close()
        self._pool.join()


class Mpire(Pool):
    """``mpire.WorkerPool``, whose workers stay between two calls."""

    def __init__(self, workers: int) -> None:
        import mpire

        self._pool = mpire.WorkerPool(workers, start_method=START, keep_alive=True)

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        return self._pool.apply(fn, args)

    def spread(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        found: list[Any] = self._pool.map(fn, list(items), chunk_size=1)
        return found

    def map(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> None:
        self._pool.map(fn, items)

    def close(self) -> None:
        self._pool.stop_and_join()


class Joblib(Pool):
    """``joblib.Parallel`` over loky, whose workers stay between two calls; large arrays go through files."""

    def __init__(self, workers: int) -> None:
        import joblib

        self._delayed = joblib.delayed
        self._parallel = joblib.Parallel(workers)
        self._parallel.__enter__()

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        return self._parallel([self._delayed(fn)(*args)])[0]

    def spread(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        found: list[Any] = self._parallel(self._delayed(fn)(item) for item in items)
        return found

    def map(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> None:
        self.spread(fn, items)

    def close(self) -> None:
        from joblib.externals.loky import get_reusable_executor

        self._parallel.__exit__(None, None, None)
        get_reusable_executor().shutdown()


class Ray(Pool):
    """Remote functions of a local ray, which takes seconds to start."""

    def __init__(self, workers: int) -> None:
        import ray

        self.ray = ray
        self.remote = lru_cache(ray.remote)
        ray.init(
            num_cpus=workers,
            include_dashboard=False,
            configure_logging=False,
            log_to_driver=False,
            object_store_memory=2**30,
        )

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        return self.ray.get(self.remote(fn).remote(*args))

    def spread(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        submit = self.remote(fn).remote
        found: list[Any] = self.ray.get([submit(item) for item in items])
        return found

    def close(self) -> None:
        self.ray.shutdown()


def loky(workers: int) -> Pool:
    """Starts loky's pool."""
    import loky as library

    return Executors(library.ProcessPoolExecutor(workers))


def zooparallel(workers: int) -> Pool:
    """Starts zooparallel's pool."""
    import zooparallel as library

    return Executors(library.ZooPool(workers))


def executor(kind: Callable[..., Executor], workers: int) -> Pool:
    """Starts a ``ProcessPoolExecutor``, the stdlib's or Raddle's."""
    if kind.__module__ == "concurrent.futures.process":
        kind = partial(kind, mp_context=multiprocessing.get_context(START))
    return Executors(kind(workers))
