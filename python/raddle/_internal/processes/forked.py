"""A worker of `start="fork"`: a fork of the user's process, with all that is in it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from marshal import loads
from signal import SIG_DFL, SIG_SETMASK, SIGTERM, pthread_sigmask, set_wakeup_fd, signal

from raddle import _raddle
from raddle._internal.processes import surroundings, worker_main


def fork(body: bytes, fds: list[int], foreign: Iterable[int] = ()) -> int:
    """Fork a worker from this process, and return its pid; the child does not return.

    The worker dies with the calling thread, which has to be one that stays, and when its life line breaks, of which it
    must hold no writing end.

    Locks that other threads hold at this moment stay locked in the worker for ever. CPython and the standard library
    see to theirs; those of other libraries may hang a task.

    Args:
        body: its order.
        fds: as in `worker_main.main`; the caller's, who may close them afterwards.
        foreign: descriptors that the worker closes: those of the thread that watches over workers.

    Raises:
        OSError: there is no room for another process.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    parent = os.getpid()
    pid = _fork()
    if pid:
        return pid
    code = 1
    try:
        if not _raddle.die_with_parent(parent, group=True):
            os._exit(1)
        for fd in foreign:
            os.close(fd)
        _close_channels(fds)
        _take_nothing_in()
        signal(SIGTERM, SIG_DFL)
        pthread_sigmask(SIG_SETMASK, ())
        set_wakeup_fd(-1)
        worker_main.name_process("raddle-worker")
        worker_main.leave_parent()
        order = loads(body)
        surroundings.follow_thread(order)
        code = worker_main.serve(order, fds)
    except BaseException:
        worker_main.show_error()
    finally:
        worker_main.end(code)


def _fork() -> int:
    if sys.hexversion < 0x30C0000:
        return os.fork()
    with warnings.catch_warnings():
        # From 3.12 on; who asks for a fork knows of threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _close_channels(own: list[int]) -> None:
    """Close what leads to other workers."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if fd not in own and os.readlink(f"/proc/self/fd/{fd}").startswith(_CHANNELS):
                os.close(fd)
        except OSError:
            pass  # the one that listed them


_CHANNELS = ("/memfd:raddle-channel", "/memfd:raddle-bell", "/memfd:raddle-results", "/memfd:raddle-arena")


def _take_nothing_in() -> None:
    """Leave standard input to the parent."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
