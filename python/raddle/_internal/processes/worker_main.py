"""What a worker does before it serves, and after.

A worker has its order: a marshalled dictionary that `environment.py` makes at the moment at which the worker is asked
for, so that it has the parent's environment, `sys.path` and working directory of that moment, not those of the zygote's
start.

A worker ignores SIGINT, which is the parent's affair, and is otherwise as a fresh interpreter: what preloaded modules
set stays. It is the leader of its process group, so that what its tasks have started can be killed with it.
"""

from __future__ import annotations

import os
import sys
from _signal import SIG_IGN, SIGINT, SIGKILL, signal  # type: ignore[import-not-found]
from marshal import loads

from raddle import _raddle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, NoReturn

CHANNEL, BELL, ARGUMENTS, RESULTS, LIFE_LINE = range(5)


def main(body: bytes, fds: list[int], parent: int) -> NoReturn:
    """Serve a pool. Returns in no case.

    Args:
        body: the order.
        fds: channel, bell, arguments, results, life line.
        parent: the process that this one must not survive.
    """
    code = 1
    try:
        if not _raddle.die_with_parent(parent):
            os._exit(1)
        _settle_in(fds[LIFE_LINE])
        order = loads(body)
        name_process("raddle-worker")
        _take_environment(order["environment"])
        _take_settings(order)
        take_main(order)
        _reseed()
        module, _, name = order["serve"].rpartition(":")
        serve = getattr(__import__(module, fromlist=(name,)), name)
        serve(*fds[:LIFE_LINE], order["settings"])
        code = 0
    except SystemExit as error:
        code = _exit_code(error)
    except BaseException:
        _show_error()
    finally:
        _end(code)


def _settle_in(life_line: int) -> None:
    try:
        os.setpgid(0, 0)
    except PermissionError:
        pass  # the leader of a session
    signal(SIGINT, SIG_IGN)
    _hang_on(life_line)


def _hang_on(life_line: int) -> None:
    """Have the system kill this process and all of its group when the last writer of this pipe is gone.

    The death signal reaches this process alone, and not before the zygote is dead.
    """
    from fcntl import F_GETFL, F_SETFL, F_SETOWN, F_SETSIG, fcntl

    # An open file has one owner, so this process needs one of its own.
    line = os.open(f"/proc/self/fd/{life_line}", os.O_RDONLY | os.O_NONBLOCK)
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


def _take_environment(environment: dict[bytes, bytes]) -> None:
    """Make the environment the parent's, changing only what differs."""
    current = dict(os.environb)
    for name in current.keys() - environment.keys():
        del os.environb[name]
    for name, value in environment.items():
        if current.get(name) != value:
            os.environb[name] = value
    if current.get(b"TZ") != environment.get(b"TZ"):
        import time

        time.tzset()


def _take_settings(order: dict[str, Any]) -> None:
    """Take over where the parent looks for modules and files, and how its interpreter is set."""
    if sys.path != order["path"]:
        sys.path[:] = order["path"]
    # The zygote may have listed a folder in the very moment in which the parent wrote a module there.
    for finder in sys.path_importer_cache.values():
        if invalidate := getattr(finder, "invalidate_caches", None):
            invalidate()
    if (folder := order["folder"]) is not None:
        try:
            os.chdir(folder)
        except OSError:
            pass  # it has been removed
    sys.setrecursionlimit(order["recursion_limit"])
    sys.dont_write_bytecode = order["dont_write_bytecode"]
    sys.pycache_prefix = order["pycache_prefix"]
    if (digits := order["int_max_str_digits"]) is not None:
        sys.set_int_max_str_digits(digits)


def take_main(order: dict[str, Any]) -> None:
    """Put a module in the place of `__main__` that looks like the parent's from outside, with nothing in it.

    The parent's own can't be had, as running it again is what guards are needed against.
    """
    sys.argv[:] = order["argv"]
    described: dict[str, str | None] = order["main"]
    old: ModuleType = sys.modules["__main__"]
    if _mains and _mains[-1] == (old, described):
        return
    module = type(sys)("__main__")
    module.__package__ = described["package"]
    if (file := described["file"]) is not None:
        module.__file__ = file
    # By this name, multiprocessing knows that there is nothing to run again in the processes that it starts from here.
    module.__spec__ = type(sys.__spec__)("__main__", None, origin=file)
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    _mains[:] = [(old, {}), (module, described)]  # functions of the old one may be running
    sys.modules["__main__"] = module


_mains: list[tuple[ModuleType, dict[str, str | None]]] = []


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


def _show_error() -> None:
    import traceback

    traceback.print_exc()


def _end(code: int) -> NoReturn:
    """End as multiprocessing's processes do: without tearing the interpreter down, which takes long and can fail."""
    try:
        if threading := sys.modules.get("threading"):
            threading._shutdown()
        import atexit

        atexit._run_exitfuncs()
    except BaseException:
        _show_error()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        os._exit(code)
