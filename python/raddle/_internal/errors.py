"""Every exception that Raddle adds to the stdlib's."""

import queue
import sys
from concurrent import futures

if sys.version_info >= (3, 11):
    _Timeout = TimeoutError
else:

    class _Timeout(futures.TimeoutError, TimeoutError):
        """Both of the classes that CPython 3.11 made one."""


class TaskTimeout(_Timeout):
    """A task ran longer than the `timeout` of its options.

    The future fails with it at the deadline. It is also raised inside the task, at the next bytecode that its thread
    runs.

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


for _error in (TaskTimeout, DependencyFailed, ExecutorFull, ForkError):
    # Where users find it, which is what tracebacks show and pickles name.
    _error.__module__ = "raddle"
