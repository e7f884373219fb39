"""What programs know from inside the stdlib's executor, and reach for: its processes, its thread, its queue.

The workers are objects with the interface of multiprocessing's processes. There is neither a thread for each executor
nor a queue; what stands for them tells what is asked of those.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raddle import _raddle
    from raddle._internal.processes.executor import ProcessPoolExecutor

#: What multiprocessing says of a process whose end another one has been told.
UNKNOWN = 255


class WorkerProcess:
    """A worker process of an executor, held by a descriptor, so that no later process is mistaken for it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._pidfd: int | None = os.pidfd_open(pid)
        except OSError:
            self._pidfd = None  # it has ended

    def __repr__(self) -> str:
        return f"<WorkerProcess pid={self.pid} {'running' if self.is_alive() else 'ended'}>"

    def __del__(self) -> None:
        if getattr(self, "_pidfd", None) is not None:
            os.close(self._pidfd)  # type: ignore[arg-type]

    @property
    def exitcode(self) -> int | None:
        """None while it runs, then 255: how it ended is told by the error of its task."""
        return None if self.is_alive() else UNKNOWN

    def is_alive(self) -> bool:
        """Tell whether it has not ended."""
        return not self._has_ended(0)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, or for so many seconds."""
        self._has_ended(timeout)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._send(signal.SIGKILL)

    def _has_ended(self, timeout: float | None) -> bool:
        if self._pidfd is None:
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(None if timeout is None else max(timeout, 0) * 1000))

    def _send(self, number: int) -> None:
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)


class Processes(dict[int, WorkerProcess]):
    """The workers of an executor as they are now, by process; the same objects as long as they run."""

    def refresh(self, pids: list[int]) -> Processes:
        """Take up new workers and forget those that are gone; return itself."""
        for pid in self.keys() - set(pids):
            self.pop(pid, None)
        for pid in pids:
            if pid not in self:
                self[pid] = WorkerProcess(pid)
        return self


class End:
    """The end of an executor, in place of the thread that sees to the stdlib's; it does not keep the executor."""

    def __init__(self, end: _raddle.PoolEnd) -> None:
        self._end = end

    def is_alive(self) -> bool:
        """Tell whether there are workers, or tasks for some."""
        return not self._end.wait(0)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the executor has been shut down and every worker has ended, or for so many seconds."""
        self._end.wait(None if timeout is None else max(timeout, 0))


class Calls:
    """How many tasks nobody has begun, in place of the stdlib's containers of them; it does not keep the executor."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = weakref.ref(executor)

    def __len__(self) -> int:
        executor = self._executor()
        return 0 if executor is None else executor.stats().queued

    def qsize(self) -> int:
        """Tell how many there are."""
        return len(self)

    def empty(self) -> bool:
        """Tell whether there are none."""
        return not self

    def join_thread(self) -> None:
        """Do nothing: no thread feeds the workers."""
