"""Workers as objects with the interface of multiprocessing's processes, for programs that reach for `_processes`."""

from __future__ import annotations

import contextlib
import os
import select
import signal

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
