"""What a worker does before it serves, and after.

A worker has its order: a marshalled dictionary that `environment.py` makes at the moment at which the worker is asked
for, so that it has the parent's surroundings of that moment, not those of the zygote's start.

A worker does nothing at SIGINT, which is the parent's affair (what its tasks start does not inherit that), and is
otherwise as a fresh interpreter that has imported the preloaded modules. It is the leader of its process group, so that
what its tasks have started can be killed with it.
"""

from __future__ import annotations

import atexit
import os
import sys
from _signal import SIG_DFL, SIGINT, SIGKILL, signal  # type: ignore[import-not-found]
from fcntl import F_GETFL, F_SETFL, F_SETOWN, F_SETSIG, fcntl
from marshal import loads

from raddle import _raddle
from raddle._internal.processes import identity, surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

LIFE_LINE = 4
"""Its place among the descriptors; those before it are for the loop: channel, bell, arguments, results."""


def settle(parent: int) -> None:
    """Become a worker in all that does not depend on which one, in a process that `parent` has forked for that."""
    if not _raddle.die_with_parent(parent, group=True):
        os._exit(1)
    name_process("raddle-worker")
    leave_parent()


def main(body: bytes, fds: list[int], then: dict[str, Any]) -> NoReturn:
    """Serve a pool, in a process that has settled. Returns in no case.

    Args:
        body: the order.
        fds: channel, bell, arguments, results, life line, and what the order has beyond these.
        then: the surroundings that this process has been prepared for.
    """
    code = 1
    try:
        order = loads(body)
        surroundings.follow(then, order)
        code = serve(order, fds)
    except BaseException:
        show_error()
    finally:
        end(code)


def serve(order: dict[str, Any], fds: list[int]) -> int:
    """Be the worker that an order describes, and return the code to exit with."""
    try:
        os.setpgid(0, 0)
    except PermissionError:
        pass  # the leader of a session
    signal(SIGINT, SIG_DFL)  # what Python knows of; the next line comes before that
    _raddle.disregard_terminal()
    _hang_on(fds[LIFE_LINE])
    tracker = fds[LIFE_LINE + 1] if order["tracker"] else None
    identity.adopt(order["process"], fds[LIFE_LINE], tracker)
    identity.inherit(fds[LIFE_LINE + 1 + order["tracker"] :])
    _reseed()
    module, _, name = order["serve"].rpartition(":")
    function = getattr(__import__(module, fromlist=(name,)), name)
    try:
        function(*fds[:LIFE_LINE], order["settings"])
    except SystemExit as error:
        return _exit_code(error)
    return 0


def _hang_on(life_line: int) -> None:
    """Have the system kill this process and all of its group when the last writer of this pipe is gone.

    The death signal does not come before the zygote is dead, and does not reach a process that is stopped.
    """
    # An open file has one owner, so this process needs one of its own.
    try:
        line = os.open(f"/proc/self/fd/{life_line}", os.O_RDONLY | os.O_NONBLOCK)
    except PermissionError:
        return  # the user has been changed, so /proc belongs to another: the death signal has to do
    os.dup2(line, life_line, inheritable=False)
    os.close(line)
    fcntl(life_line, F_SETSIG, SIGKILL)
    fcntl(life_line, F_SETOWN, -os.getpid())
    fcntl(life_line, F_SETFL, fcntl(life_line, F_GETFL) | os.O_ASYNC)
    try:
        gone = os.read(life_line, 1) == b""
    except BlockingIOError:
        gone = False
    if gone:
        os._exit(1)


def name_process(name: str) -> None:
    """Tell what a process is where processes are listed; their command lines are the same."""
    try:
        with open("/proc/self/comm", "wb", buffering=0) as file:
            file.write(name.encode())
    except OSError:
        pass


def leave_parent() -> None:
    """Forget, in a forked process, what the one that forked it is to do at its end: removing its files, say."""
    atexit._clear()
    if finalize := getattr(sys.modules.get("weakref"), "finalize", None):
        for finalizer in list(finalize._registry):
            finalizer.atexit = False
        finalize._registered_with_atexit = False  # for those to come
    for module, name in (("logging", "shutdown"), ("multiprocessing.util", "_exit_function")):
        if function := getattr(sys.modules.get(module), name, None):
            atexit.register(function)
    if util := sys.modules.get("multiprocessing.util"):
        util._finalizer_registry.clear()
        util._run_after_forkers()


def _reseed() -> None:
    """Give this worker random numbers of its own. `random` sees to itself when it is forked."""
    if legacy := sys.modules.get("numpy.random.mtrand"):
        try:
            legacy.seed()
        except Exception:
            pass  # the program has put in a generator that can't be


def _exit_code(error: SystemExit) -> int:
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def show_error() -> None:
    """Print the current exception."""
    import traceback

    traceback.print_exc()


def end(code: int) -> NoReturn:
    """End as multiprocessing's processes do: without tearing the interpreter down, which takes long and can fail."""
    try:
        if threading := sys.modules.get("threading"):
            threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        show_error()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        os._exit(code)
