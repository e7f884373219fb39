"""`map`: workers take turns at its items, or each item is a task of its own where it has options."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future as StdlibFuture
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from raddle._internal.progress import with_progress

if TYPE_CHECKING:
    from raddle._internal.executor import ThreadPoolExecutor
    from raddle._internal.processes.executor import ProcessPoolExecutor
    from raddle._internal.processes.handles import Handle

T_co = TypeVar("T_co", covariant=True)


class MapResults(Iterator[T_co], Protocol[T_co]):
    """What `map` returns: an iterator over the results that can be closed."""

    def close(self) -> None:
        """Cancel the items that have not begun, and drop the results that nobody took."""


@dataclass(frozen=True)
class MapArguments:
    """The arguments of a call of `map`, checked.

    Raises:
        TypeError: `chunksize` or `buffersize` is no integer, or `timeout` nothing like a number.
        ValueError: `chunksize` or `buffersize` is below 1, or `timeout` is no number.
    """

    fn: Callable[..., Any]
    iterables: tuple[Iterable[Any], ...]
    timeout: float | None
    chunksize: int | None
    buffersize: int | None
    ordered: bool
    progress: bool
    return_exceptions: bool

    def __post_init__(self) -> None:
        """Check them, in the stdlib's words where it has some."""
        if self.buffersize is not None:
            if not _is_integer(self.buffersize):
                raise TypeError("buffersize must be an integer or None")
            if self.buffersize < 1:
                raise ValueError("buffersize must be None or > 0")
        if self.chunksize is not None:
            if not _is_integer(self.chunksize):
                raise TypeError("chunksize must be an integer or None")
            if self.chunksize < 1:
                raise ValueError("chunksize must be >= 1.")
        if self.timeout is not None and math.isnan(self.timeout):
            raise ValueError("a timeout must be a number of seconds, not nan")

    @property
    def total(self) -> int | None:
        """How many items there will be, where the inputs tell."""
        try:
            return min(len(iterable) for iterable in self.iterables)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None

    def run(self, start: Callable[[], MapResults[Any]]) -> MapResults[Any]:
        """Start the map, with a bar where one is wanted."""
        return with_progress(start, self.total) if self.progress else start()


def _is_integer(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


Submit = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], StdlibFuture[Any]]
"""Schedules `fn(*args, **kwargs)`, called as `submit(fn, args, kwargs)`."""


def start_map(
    executor: ThreadPoolExecutor | ProcessPoolExecutor | Handle,
    arguments: MapArguments,
    *,
    submit: Submit | None = None,
    priority: int = 0,
) -> MapResults[Any]:
    """Run a map.

    Args:
        executor: whose workers take turns at the items.
        arguments: of the call of `map`.
        submit: makes each item a task of its own instead.
        priority: of the workers' turns.

    Returns:
        The results.
    """
    spread = submit is not None or len(arguments.iterables) != 1
    items = zip(*arguments.iterables) if spread else iter(arguments.iterables[0])  # noqa: B905

    def start() -> MapResults[Any]:
        return executor._map(
            arguments.fn,
            items,
            submit=submit,
            spread=spread,
            timeout=arguments.timeout,
            turn=arguments.chunksize,
            buffersize=arguments.buffersize,
            ordered=arguments.ordered,
            return_exceptions=arguments.return_exceptions,
            priority=priority,
        )

    return arguments.run(start)
