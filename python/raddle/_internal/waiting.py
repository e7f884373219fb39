"""`wait` and `as_completed` for futures of any executors, Raddle's and the stdlib's mixed."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ALL_COMPLETED, _base
from concurrent.futures import Future as StdlibFuture
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from raddle import _raddle
from raddle._internal.future import Future

T = TypeVar("T")
F = TypeVar("F", bound=StdlibFuture[Any])

if TYPE_CHECKING:

    class DoneAndNotDoneFutures(NamedTuple, Generic[F]):
        """The stdlib's class, typed by the class of the futures: the stdlib's stubs know of stdlib futures only."""

        done: set[F]
        not_done: set[F]
else:
    DoneAndNotDoneFutures = _base.DoneAndNotDoneFutures


# The first overload of each is what lets Pyright follow the type of futures that are made in the call.
@overload
def wait(
    fs: Iterable[Future[T]], timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> "DoneAndNotDoneFutures[Future[T]]": ...


@overload
def wait(
    fs: Iterable[F], timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> "DoneAndNotDoneFutures[F]": ...


def wait(
    fs: Iterable[F], timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> "DoneAndNotDoneFutures[F]":
    """Wait until futures are done.

    Args:
        fs: the futures; duplicates count once.
        timeout: seconds to wait at most; None for ever.
        return_when: `ALL_COMPLETED`, `FIRST_COMPLETED`, or `FIRST_EXCEPTION` (which waits for all when none fails).

    Returns:
        A named tuple of two sets, `done` and `not_done`. Cancelled futures are done, and in a forked child so are all
        that it inherited. A worker's slot is free while it waits; any thread may wait.

    Raises:
        ValueError: another `return_when`.
        TypeError: something else than a future.

    >>> from raddle.futures import ThreadPoolExecutor, wait
    >>> with ThreadPoolExecutor() as pool:
    ...     done, not_done = wait([pool.submit(abs, -1), pool.submit(abs, -2)])
    >>> sorted(future.result() for future in done), not_done
    ([1, 2], set())
    """
    done, not_done = _raddle.wait(fs, timeout, return_when)
    return DoneAndNotDoneFutures(done, not_done)


@overload
def as_completed(fs: Iterable[Future[T]], timeout: float | None = None) -> Iterator[Future[T]]: ...


@overload
def as_completed(fs: Iterable[F], timeout: float | None = None) -> Iterator[F]: ...


def as_completed(fs: Iterable[F], timeout: float | None = None) -> Iterator[F]:
    """Yield futures as they are done, those first that are done already.

    Args:
        fs: the futures; duplicates are yielded once.
        timeout: seconds from this call until all must be done; None for ever.

    Returns:
        An iterator; it holds no future longer than until it is yielded. Its cost is linear in the number of futures.
        Cancelled futures are yielded too, and in a forked child all that it inherited.

    Raises:
        TimeoutError: from the iterator, when `timeout` is over.
        TypeError: something else than a future.

    >>> from raddle.futures import ThreadPoolExecutor, as_completed
    >>> with ThreadPoolExecutor() as pool:
    ...     sorted(future.result() for future in as_completed(pool.submit(abs, n) for n in (-1, -2)))
    [1, 2]
    """
    return _raddle.AsCompleted(fs, timeout)


wait.__module__ = as_completed.__module__ = "raddle.futures"
