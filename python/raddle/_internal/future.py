"""The one `Future`."""

import concurrent.futures
import types
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

from raddle import _raddle
from raddle._internal.awaiting import outcome_of

T = TypeVar("T")

if TYPE_CHECKING:
    _NativeFuture = _raddle.Future
else:
    # The native class takes no [T] when a program runs.
    _NativeFuture = types.GenericAlias(_raddle.Future, (T,))


class Future(_NativeFuture[T], concurrent.futures.Future[T]):
    """The outcome of a task to come: `concurrent.futures.Future`, and it can be awaited.

    All of the stdlib's methods work as there. In addition, `name`, `start`, `duration` and `worker` tell about the
    task. `await future` works in asyncio, from several loops at once; when the last that waits for it is cancelled, the
    task is cancelled too if it has not begun.

    Safe across threads. In a forked child, a future whose task had not ended fails with `ForkError`.

        >>> from raddle.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor() as pool:
        ...     future = pool.submit(pow, 2, 10)
        >>> future.result(), future.name
        (1024, 'pow')
    """

    __slots__ = ()

    def __init__(self) -> None:
        """Make a future by hand, to be ended by `set_result` or `set_exception`."""

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for the result in a coroutine."""
        return outcome_of(self).__await__()


Future.__module__ = "raddle.futures"
