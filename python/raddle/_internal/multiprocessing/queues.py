"""Queues between processes.

Native, in shared memory of their own, which grows and shrinks with what is in them: `put` returns once the object is
in the queue, however large it is, and waits for nothing but a `maxsize`. So there is no feeder thread, nothing to
join at the end of a process, and no lock that a killed consumer takes along.
"""

from __future__ import annotations

import time
import types
from functools import cached_property
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

from raddle import _raddle
from raddle._internal.multiprocessing import bound as bound  # before anything here is used
from raddle._internal.multiprocessing import passing

if TYPE_CHECKING:
    from typing_extensions import Self


def _rebuild(cls: type[Any], memory: Any, alarm: Any, state: Any) -> Any:
    queue = _raddle.SharedQueue.__new__(cls, cls._strict, (memory.detach(), alarm.detach()))
    if state:
        queue.__dict__.update(state)
    return queue


class _End:
    """Looks like one end of the pipe that the stdlib's queues are made of, for code that reaches for it."""

    def __init__(self, queue: _Base) -> None:
        self._queue = queue
        self.closed = False

    def _open(self) -> _Base:
        if self.closed:
            raise OSError("handle is closed")
        return self._queue

    def fileno(self) -> int:
        """Return a descriptor that is readable while there are objects in the queue."""
        queue = self._open()
        queue._watch()
        return queue._fds()[1]

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Wait until there are objects, at most `timeout` seconds, and tell whether there are any."""
        queue = self._open()
        end = None if timeout is None else time.monotonic() + timeout
        while queue.empty():
            left = None if end is None else end - time.monotonic()
            if (left is not None and left <= 0) or not connection.wait([self], left):  # type: ignore[list-item]
                return not queue.empty()
            queue._watch()  # if somebody else has taken what there was
        return True

    def recv(self) -> Any:
        """Take an object."""
        return self._open().get()

    def send(self, obj: object) -> None:
        """Put an object."""
        self._open().put(obj)

    def close(self) -> None:
        """Close this end for this process; the queue itself stays open."""
        self.closed = True


class _Base(_raddle.SharedQueue):
    _strict = False

    def __new__(cls, *_args: Any, **_named: Any) -> Self:
        # What they are is for `__init__`, which subclasses may call with others.
        return super().__new__(cls, cls._strict)

    def __reduce__(self) -> Any:
        passing.check(self)
        memory, alarm = self._fds()
        state = {name: value for name, value in vars(self).items() if not isinstance(value, _End)}
        return _rebuild, (type(self), passing.duplicate(memory), passing.duplicate(alarm), state)

    @cached_property
    def _reader(self) -> _End:
        return _End(self)

    @cached_property
    def _writer(self) -> _End:
        return _End(self)

    def empty(self) -> bool:
        """Tell whether there are no objects. Raises OSError if there are, but this process has closed the queue."""
        empty = super().empty()
        if self._is_closed() and not empty:
            raise OSError(f"Queue {self!r} is closed")
        return empty

    @property
    def _closed(self) -> bool:
        return self._is_closed()

    def _poll(self, timeout: float | None = 0.0) -> bool:
        return self._reader.poll(timeout)


class Queue(_Base):
    """Objects in the order in which they were put, from any processes to any processes.

    `maxsize`: the most objects at a time; 0 or less for no limit. Objects are pickled by `put`. One that can't be is
    dropped after `_on_queue_feeder_error` has been told, as by the stdlib.
    """

    def __init__(self, maxsize: int = 0, *, ctx: Any = None) -> None:  # noqa: ARG002
        """Make an empty queue."""
        self._set_limit(max(maxsize, 0))
        self._maxsize = maxsize if maxsize > 0 else 2**31 - 1

    def put_nowait(self, obj: object) -> None:
        """Put an object, or raise `Full`."""
        self.put(obj, False)

    def get_nowait(self) -> Any:
        """Take an object, or raise `Empty`."""
        return self.get(False)

    def join_thread(self) -> None:
        """Do nothing: what was put is in the queue already."""
        if not self._closed:
            raise AssertionError(f"Queue {self!r} not closed")

    def cancel_join_thread(self) -> None:
        """Do nothing: a process never waits for its queues."""

    @staticmethod
    def _on_queue_feeder_error(e: BaseException, obj: object) -> None:  # noqa: ARG004
        """Tell of an object that could not be put; to be overridden."""
        import traceback

        traceback.print_exception(type(e), e, e.__traceback__)

    __class_getitem__: Any = classmethod(types.GenericAlias)


class JoinableQueue(Queue):
    """A queue that can be waited for until everything that was put has been dealt with."""

    def task_done(self) -> None:
        """Say that what one object asked for is done.

        Raises:
            ValueError: as much is done as was put.
        """
        self._done()

    def join(self) -> None:
        """Wait until everything that was put is done."""
        self._join()


class SimpleQueue(_Base):
    """Objects in the order in which they were put, without a limit. Errors of pickling are raised by `put`."""

    _strict = True

    def __init__(self, *, ctx: Any = None) -> None:
        """Make an empty queue."""

    def close(self) -> None:
        """Close the queue for this process."""
        super().close()
        self._reader.close()
        self._writer.close()

    __class_getitem__: Any = classmethod(types.GenericAlias)


for _class in (Queue, JoinableQueue, SimpleQueue):
    # Where users find it, which is what pickles name.
    _class.__module__ = "raddle.multiprocessing.queues"
