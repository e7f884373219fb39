"""A worker of `start="fork"`: a fork of the user's process, with all that is in it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from marshal import loads

from raddle._internal.processes import worker_main


def fork(body: bytes, fds: list[int], foreign: Iterable[int] = ()) -> int:
    """Fork a worker from this process, and return its pid; the child does not return.

    The death signal is no help here, as the calling thread may end before the worker is to. So the worker depends on
    its life line, and on holding no writing end of it.

    Args:
        body: its order.
        fds: as in `worker_main.main`; the caller's, who may close them afterwards.
        foreign: descriptors that the worker closes: the writing ends of the life lines of this process.

    Raises:
        OSError: there is no room for another process.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    with warnings.catch_warnings():
        # Who asks for a fork knows of threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for fd in foreign:
            os.close(fd)
        worker_main.leave_parent()
        code = worker_main.serve(loads(body), fds)
    except BaseException:
        worker_main.show_error()
    finally:
        worker_main.end(code)
