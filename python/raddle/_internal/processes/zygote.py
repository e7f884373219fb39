"""The zygote: a process with one thread and nothing of the user's but the modules to be preloaded, that forks workers.

It waits for two things at once: requests on its socket, and the ends of its workers, of each of which it holds a pidfd.
So it needs no signal handler, and none that a preloaded module sets can disturb it. `messages.py` lists what it is
asked for and what it reports.

**Who dies with whom.** The system kills the zygote when the thread that started it ends, and a worker when the zygote
ends. The end of the socket, which comes when the pool is closed, makes the zygote kill its workers and exit.

**A spare.** Most of what a fork takes, the child pays: the system copies each page that it writes to for the first
time. So once workers have been asked for, one more is forked ahead of the next request, goes as far as it can without
knowing what it will be, and waits on a socket of its own. A later pool, and the successor of a worker that has died,
find it there.

**Threads.** A forked child has only the thread that forked, while the locks that others held stay locked. So the
zygote forks only while it has one thread. Some libraries, OpenBLAS among them, start threads when they are imported and
end them before a fork; a fork for nothing shows whether all threads that there are do so.
"""

from __future__ import annotations

import gc
import os
import select
import sys
from _signal import (  # type: ignore[import-not-found]  # the one without enumerations, which take long
    SIG_DFL,
    SIG_SETMASK,
    SIGCHLD,
    SIGKILL,
    SIGTERM,
    pthread_sigmask,
    signal,
)
from _socket import AF_UNIX, SOCK_SEQPACKET, socketpair
from time import monotonic, sleep

from raddle import _raddle
from raddle._internal.processes import surroundings, worker_main
from raddle._internal.processes.messages import (
    ENDED,
    FAILED,
    FORK,
    FORKED,
    KILL,
    READY,
    REFUSED,
    Request,
    pass_on,
    receive,
    report,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any, NoReturn


def main(socket: _socket.socket, preparation: dict[str, Any]) -> NoReturn:
    """Prepare, and fork workers until the socket ends. Returns in no process."""
    parent: int = preparation["parent"]
    if not _raddle.die_with_parent(parent, group=False):
        os._exit(0)
    zygote = os.getpid()
    try:
        settle_in(socket)
        worker_main.name_process("raddle-zygote")
        surroundings.take(preparation)
        suspect = ""
        thresholds = gc.get_threshold()
        gc.set_threshold(
            0
        )  # what is imported stays; looking through it again and again would take a tenth of the time
        for module in preparation["preload"]:
            threads = _threads()
            __import__(module)
            if _threads() > threads:
                suspect = suspect or module
        if gc.get_threshold()[0] == 0:  # no module has put in its own
            gc.set_threshold(*thresholds)
        if os.getpid() != zygote:
            os._exit(1)  # a module has forked, and this child came back from it
        request = _Zygote(socket, suspect, preparation).run()
    except BaseException:
        if os.getpid() == zygote:
            _fail(socket)
        raise
    if request is None:
        os._exit(0)
    worker_main.main(request.body, request.fds, preparation)


def settle_in(socket: _socket.socket) -> None:
    """Get rid of what a process inherits through exec and this one has no use for."""
    try:
        os.setpgid(0, 0)  # away from the terminal's Ctrl-C, if it has not been done
    except PermissionError:
        pass  # the leader of a session
    _raddle.disregard_terminal()
    # How workers are ended, and how their end is known: not to depend on what the parent ignores.
    signal(SIGTERM, SIG_DFL)
    signal(SIGCHLD, SIG_DFL)
    pthread_sigmask(SIG_SETMASK, ())
    own = socket.fileno()
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            # What this process has opened itself is closed on exec.
            if fd > 2 and fd != own and os.get_inheritable(fd):
                os.close(fd)
        except OSError:
            pass  # the one that listed them


def _fail(socket: _socket.socket) -> NoReturn:
    """Report the current exception, and exit."""
    import traceback

    try:
        report(socket, FAILED, text=traceback.format_exc())
    finally:
        os._exit(1)


_IDLE = 50
"""Milliseconds without a request, after which there is time for something else."""


class _Spare:
    """A worker that nobody has asked for yet."""

    __slots__ = ("pid", "pidfd", "socket")

    def __init__(self, pid: int, pidfd: int, socket: _socket.socket) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.socket = socket
        """The way to it."""


class _Zygote:
    """Forks and reaps."""

    def __init__(self, socket: _socket.socket, suspect: str, preparation: dict[str, Any]) -> None:
        self.pid = os.getpid()
        self.socket = socket
        self.preparation = preparation
        self.suspect = suspect
        """The module that has started threads, if one has."""
        self.workers: dict[int, int] = {}
        """The pids, by pidfd."""
        self.spare: _Spare | None = None
        self.wants_spare = False
        self.threads = 0
        self.poll = select.poll()
        self.warmed = False

    def run(self) -> Request | None:
        """Do what is asked until the socket ends, and return None; in each worker, return the request that made it."""
        _flush()
        signal(SIGCHLD, SIG_DFL)  # a preloaded module may have had it ignored
        gc.freeze()  # or each worker's first collection would copy every page with an object on it
        own = self.socket.fileno()
        self.poll.register(own, select.POLLIN)
        try:
            self.count_threads()
            while True:
                ready = self.poll.poll(0 if self.wants_spare else None if self.warmed else _IDLE)
                if not ready and self.wants_spare:
                    if (request := self.fork_spare()) is not None:
                        return request
                elif not ready:
                    self.warm()
                for fd, _ in ready:
                    if fd != own:
                        self.reap(fd)
                        continue
                    request = receive(self.socket)
                    if request is None:
                        self.end()
                        return None
                    if request.kind == FORK:
                        if self.hand_over(request):
                            continue
                        if self.fork(request):
                            return request
                    elif request.kind == KILL:
                        self.kill(request.pid)
        except ConnectionError:  # nobody is there to be told anything
            self.end()
            return None

    def warm(self) -> None:
        """Import what the first worker has not waited for."""
        self.warmed = True
        if serving := sys.modules.get("raddle._internal.processes.serving"):
            serving.warm()
            gc.freeze()

    def fork_spare(self) -> Request | None:
        """Make a spare, if that can be; in the spare, return the request that makes it a worker."""
        self.wants_spare = False  # until the next worker: what goes wrong now would go wrong again and again
        if self.spare is not None:
            return None
        try:
            # A number that is new is reported with the next request, when somebody wants to know.
            if _threads_left() > 1:
                return None
            ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET)
        except OSError:
            return None
        _flush()
        try:
            pid = os.fork()
        except (OSError, MemoryError):
            pid = -1
        if pid == 0:
            ours.close()
            self.leave()
            return self.wait_as_spare(theirs)
        theirs.close()
        if pid > 0:
            try:
                self.spare = _Spare(pid, os.pidfd_open(pid), ours)
            except OSError:
                os.kill(pid, SIGKILL)
                _wait(pid)
        if self.spare is None:
            ours.close()
        else:
            self.poll.register(self.spare.pidfd, select.POLLIN)
        return None

    def wait_as_spare(self, socket: _socket.socket) -> Request:
        """In a spare: do what all workers do, and wait until it is to be one."""
        worker_main.settle(self.pid)
        # For the pages that this writes to: the same is done again once the request is there.
        surroundings.follow(self.preparation, self.preparation)
        if plain := sys.modules.get("raddle._internal.serialization.plain"):
            plain.loads(plain.dumps((int, 1)))
        request = receive(socket)
        if request is None:
            os._exit(0)
        socket.close()
        return request

    def hand_over(self, request: Request) -> bool:
        """Make the spare the worker that is asked for; return whether there is one that can be."""
        if (spare := self.spare) is None or request.problem is not None:
            return False
        try:
            pass_on(spare.socket, request)
        except OSError:
            # It has ended, as will be heard in a moment, or the order is too long for it.
            return False
        self.spare = None
        spare.socket.close()
        self.adopt(request, spare.pid, spare.pidfd)
        return True

    def fork(self, request: Request) -> bool:
        """Make a worker; return whether this is it."""
        if request.problem is not None:
            return self.refuse(request, request.problem)
        try:
            if (threads := self.count_threads()) > 1:
                return self.refuse(request, f"a fork would not be safe: the zygote has {threads} threads")
            _flush()
            pid = os.fork()
        except ConnectionError:
            raise
        except (OSError, MemoryError) as error:
            return self.refuse(request, f"a worker could not be forked: {error}{_limit_behind(error)}")
        if pid == 0:
            self.leave()
            worker_main.settle(self.pid)
            return True
        try:
            os.setpgid(pid, pid)  # it does so itself too; whoever is first
        except OSError:
            pass  # it has ended already
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            os.kill(pid, SIGKILL)
            _wait(pid)
            return self.refuse(request, f"a worker could not be handed over: {error}{_limit_behind(error)}")
        self.poll.register(pidfd, select.POLLIN)
        self.adopt(request, pid, pidfd)
        return False

    def adopt(self, request: Request, pid: int, pidfd: int) -> None:
        """Report a worker that has been made."""
        try:
            report(self.socket, FORKED, ticket=request.ticket, pid=pid, fds=(pidfd,))
        except OSError as error:
            os.kill(pid, SIGKILL)
            _wait(pid)
            self.poll.unregister(pidfd)
            os.close(pidfd)
            if isinstance(error, ConnectionError):
                raise
            self.refuse(request, f"a worker could not be handed over: {error}{_limit_behind(error)}")
            return
        request.close()
        self.workers[pidfd] = pid
        self.wants_spare = True

    def refuse(self, request: Request, reason: str) -> bool:
        """Report that a worker was not made; return that this is not one."""
        request.close()
        report(self.socket, REFUSED, ticket=request.ticket, text=reason)
        return False

    def leave(self) -> None:
        """Close, in a worker, what is the zygote's."""
        self.socket.close()
        for pidfd in self.workers:
            os.close(pidfd)
        if (spare := self.spare) is not None:
            spare.socket.close()
            os.close(spare.pidfd)

    def reap(self, pidfd: int) -> None:
        """Report how a worker ended."""
        self.poll.unregister(pidfd)
        if (spare := self.spare) is not None and pidfd == spare.pidfd:
            self.spare = None
            spare.socket.close()
            os.close(pidfd)
            _wait(spare.pid)
            return
        pid = self.workers.pop(pidfd)
        os.close(pidfd)
        try:
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            if ended is not None and ended.si_code != os.CLD_EXITED:
                # It was killed: what it has started goes too. Until it is waited for, no other group has its number.
                _kill_group(pid)
        except ChildProcessError:
            pass  # somebody else has waited for it
        report(self.socket, ENDED, pid=pid, number=_wait(pid))

    def kill(self, pid: int) -> None:
        """Kill a worker, if it is still one."""
        if pid in self.workers.values():
            _kill_group(pid)

    def end(self) -> None:
        """Kill all workers."""
        pids = list(self.workers.values())
        if self.spare is not None:
            self.spare.socket.close()
            pids.append(self.spare.pid)
        for pid in pids:
            _kill_group(pid)
        for pid in pids:
            _wait(pid)

    def count_threads(self) -> int:
        """Count the threads of this process that a fork leaves running, and report a number that is new."""
        threads = _threads_left()
        if threads != self.threads:
            self.threads = threads
            report(self.socket, READY, number=threads, text=self.suspect)
        return threads


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _threads_left() -> int:
    """Count those that a fork leaves running."""
    threads = _threads()
    return threads if threads == 1 else _threads_after_fork()


def _threads_after_fork() -> int:
    """Fork for nothing, and count the threads that are left."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CPython warns of just this
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    pidfd = os.pidfd_open(pid)
    ends = select.poll()
    ends.register(pidfd, select.POLLIN)
    if not ends.poll(1000):  # it waits for a lock: what was to be found out
        os.kill(pid, SIGKILL)
    os.close(pidfd)
    _wait(pid)
    # A thread that was waited for is listed for a moment more.
    deadline = monotonic() + 0.05
    while (threads := _threads()) > 1 and monotonic() < deadline:
        sleep(0.001)
    return threads


def _limit_behind(error: BaseException) -> str:
    """Say which limit has been reached, in brackets; nothing where that is not known."""
    return _raddle.limit_behind(getattr(error, "errno", None) or 0)


def _flush() -> None:
    """Write out what modules have printed: what stayed in a buffer, every worker would write."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # None, closed, or nobody reads


def _kill_group(pid: int) -> None:
    """Kill a worker and what it has started."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, SIGKILL)
        except ProcessLookupError:
            pass


def _wait(pid: int) -> int:
    """Wait for a child that has ended or is about to, and return its status: 255, exited, if somebody else has it."""
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return 255 << 8
