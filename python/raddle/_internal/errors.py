"""Every exception that Raddle adds to the stdlib's."""

from __future__ import annotations

import pickle
import queue
import sys
from concurrent import futures
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raddle._internal.standing import Standing

if sys.version_info >= (3, 11):
    _Timeout = TimeoutError
else:

    class _Timeout(futures.TimeoutError, TimeoutError):
        """Both of the classes that CPython 3.11 made one."""


class TaskTimeout(_Timeout):
    """A task ran longer than the `timeout` of its options.

    In a thread, the future fails with it at the deadline, and it is also raised inside the task, at the next bytecode
    that the thread runs. In a worker process, the future fails with it as soon as the process has been killed.

        >>> import raddle, time
        >>> with raddle.ThreadPoolExecutor() as pool:
        ...     future = pool.options(timeout=0.01).submit(time.sleep, 5)
        >>> isinstance(future.exception(), raddle.TaskTimeout)
        True
    """


class DependencyFailed(RuntimeError):
    """A task that this one was to come `after` failed or was cancelled; `__cause__` is that task's exception.

    >>> import raddle
    >>> with raddle.ThreadPoolExecutor() as pool:
    ...     first = pool.submit(int, "x")
    ...     then = pool.options(after=[first]).submit(print)
    >>> then.exception().__cause__
    ValueError("invalid literal for int() with base 10: 'x'")
    """


class ExecutorFull(queue.Full):
    """`max_pending` tasks wait already, and the executor was made with `on_full="raise"`."""


class ForkError(RuntimeError):
    """A future was inherited through fork; the thread that would end it stayed in the parent process.

    Submit the task again: the executor itself works in the child.
    """


class NotSerializable(TypeError, pickle.PicklingError):
    """An argument, a function or a result can't be sent to another process; the message says which part of it.

    Pickle raises one of two exceptions for this, so it is both. What a `__reduce__` of the user's raises is not
    retold.
    """

    path: str
    """Where the part is that can't be sent: `args[1].handler._lock`; empty if it was not found."""

    def __init__(self, message: str = "", path: str = "") -> None:
        super().__init__(message)
        self.path = path


class DeadlockError(RuntimeError):
    """The call would have closed a circle of threads, each of which waits for the next one.

    Raised in one of them, the one whose call came last; the others go on waiting for what it holds. The message says
    who holds what, wants what, and stands where.

    It is never raised in a thread that takes back a condition's lock at the end of a wait, which has to have it:
    such a thread is warned and waits on, and another one of the circle gets the error when it next looks around.

        >>> from raddle import threading
        >>> lock, errors = threading.RLock(), []
        >>> def keeping_the_error(call):
        ...     try:
        ...         call()
        ...     except threading.DeadlockError as error:
        ...         errors.append(error)
        >>> with lock:
        ...     thread = threading.Thread(target=keeping_the_error, args=[lock.acquire], name="other")
        ...     thread.start()
        ...     keeping_the_error(thread.join)  # it waits for the lock that is held here
        >>> thread.join()
        >>> for error in errors:
        ...     print(sorted(member.name for member in error.members))
        ['MainThread', 'other']
    """

    members: tuple[Standing, ...]
    """Who is in the circle, the raising thread first. Each wants what the next one holds, and the last one what the
    first one holds."""

    def __init__(self, message: str = "", members: tuple[Standing, ...] = ()) -> None:
        super().__init__(message)
        self.members = members

    def __reduce__(self) -> tuple[type[DeadlockError], tuple[str]]:
        # Threads and locks can't be sent elsewhere; what is said of them can.
        return type(self), (str(self),)


class OwnerDied(RuntimeError):
    """The process that holds the lock is gone, so that waiting for it would never end.

    What the lock guards may be half changed. Whoever has seen to that calls `release()`, which frees it, and then
    takes it as always. Nobody is told who asks with a timeout, or without blocking: that ends by itself.
    """

    pid: int
    """The number that the process had."""

    def __init__(self, message: str = "", pid: int = 0) -> None:
        super().__init__(message)
        self.pid = pid

    def __reduce__(self) -> tuple[type[OwnerDied], tuple[str, int]]:
        return type(self), (str(self), self.pid)


class DeadlockWarning(RuntimeWarning):
    """What may be a deadlock: a circle as of `DeadlockError` that somebody could break.

    There is a plain `Lock` in it, which any thread may release; or the thread that is warned takes back a condition's
    lock, and another one may give way.
    """


for _error, _module in {
    DeadlockError: "raddle.threading",
    DeadlockWarning: "raddle.threading",
    OwnerDied: "raddle.multiprocessing",
    TaskTimeout: "raddle",
    DependencyFailed: "raddle",
    ExecutorFull: "raddle",
    ForkError: "raddle",
    NotSerializable: "raddle",
}.items():
    # Where users find it, which is what tracebacks show and pickles name.
    _error.__module__ = _module
