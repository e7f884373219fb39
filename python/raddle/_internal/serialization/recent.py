"""A map of what was used last: the caches of this package hold a bounded number of things, and hold them strongly."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    K = TypeVar("K")
    V = TypeVar("V")


class Recent(dict["K", "V"]):
    """A dict of at most `limit` entries; what was put in first goes first.

    Without a lock, as a fork in another thread's critical section would leave it locked for ever: every step is one
    operation of the dict, and two threads that put something in at the same time may go one above the limit for a
    moment.
    """

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, key: K, value: V) -> V:
        """Put a value in, and the oldest ones out if there are too many."""
        self[key] = value
        while len(self) > self._limit:
            try:
                self.pop(next(iter(self)), None)
            except (RuntimeError, StopIteration):  # another thread was at it too
                break
        return value

    def refresh(self, key: K, value: V) -> None:
        """Put an entry that was of use behind the others, if any are soon to go."""
        if 2 * len(self) > self._limit:
            self.pop(key, None)
            self.keep(key, value)
