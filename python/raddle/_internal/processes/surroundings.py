"""What a worker finds around it, and how it follows the parent.

The parent describes its surroundings twice: in the preparation of the zygote, which takes them over before it imports
what is to be preloaded, and in the order of each worker. The worker takes over what has changed in between, and no
more: what a preloaded module has changed, such as a variable of the environment, stays as that module wanted it.
"""

from __future__ import annotations

import os
import resource
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    Surroundings = dict[str, Any]

LIMITS = {
    name: getattr(resource, f"RLIMIT_{name}")
    for name in ("NOFILE", "AS", "CORE", "CPU", "DATA", "FSIZE", "STACK")
}
"""The limits that a process has for itself, by name. (Others hold for all processes of a user.)"""

INTERPRETER = ("recursion_limit", "int_max_str_digits", "dont_write_bytecode", "pycache_prefix")


def take(there: Surroundings) -> None:
    """Take the parent's surroundings over, as a process that has just begun."""
    there["environment"] = dict(os.environb)  # what the system made of what was asked for
    sys.path[:] = there["path"]
    for name in INTERPRETER:
        _set(name, there[name])
    take_main(there)


def follow(then: Surroundings, now: Surroundings) -> None:
    """Take over what has changed for the parent, from the time of the zygote's preparation until now."""
    _follow_environment(then["environment"], now["environment"])
    if then["path"] != now["path"]:
        added = [entry for entry in sys.path if entry not in then["path"] and entry not in now["path"]]
        sys.path[:] = now["path"] + added
    # The zygote may have listed a folder in the very moment in which the parent wrote a module there.
    for finder in sys.path_importer_cache.values():
        if invalidate := getattr(finder, "invalidate_caches", None):
            invalidate()
    if now["folder"] not in (None, then["folder"]):
        try:
            os.chdir(now["folder"])
        except OSError:
            pass  # it has been removed
    for name in INTERPRETER:
        if now[name] != then[name]:
            _set(name, now[name])
    _follow_process(then, now)
    if (now["main"], now["argv"]) != (then["main"], then["argv"]):
        take_main(now)


def _follow_process(then: Surroundings, now: Surroundings) -> None:
    """Follow what the system keeps of a process; not where it has no leave to, as with a limit that can only fall."""
    if now["umask"] != then["umask"]:
        os.umask(now["umask"])
    for name, limit in now["limits"].items():
        if limit != then["limits"][name]:
            _try(resource.setrlimit, LIMITS[name], limit)
    follow_thread(now)


def follow_thread(now: Surroundings) -> None:
    """Follow what the system keeps of a thread: a worker has it from the thread that started it, whoever wanted it."""
    if now["affinity"] != sorted(os.sched_getaffinity(0)):
        _try(os.sched_setaffinity, 0, now["affinity"])
    if now["nice"] != os.getpriority(os.PRIO_PROCESS, 0):
        _try(os.setpriority, os.PRIO_PROCESS, 0, now["nice"])


def _try(step: Callable[..., object], *arguments: object) -> None:
    try:
        step(*arguments)
    except (OSError, ValueError):
        pass  # a limit that can only fall, a processor that is gone


def _follow_environment(then: dict[bytes, bytes], now: dict[bytes, bytes]) -> None:
    for name in then.keys() - now.keys():
        os.environb.pop(name, None)
    for name, value in now.items():
        if then.get(name) != value:
            os.environb[name] = value
    if then.get(b"TZ") != now.get(b"TZ"):
        import time

        time.tzset()


def _set(name: str, value: Any) -> None:
    if name == "recursion_limit":
        sys.setrecursionlimit(value)
    elif name != "int_max_str_digits":
        setattr(sys, name, value)
    elif value is not None:
        sys.set_int_max_str_digits(value)


def take_main(there: Surroundings) -> None:
    """Put a module in the place of `__main__` that looks like the parent's from outside, with nothing in it.

    The parent's own can't be had: to run it again is what guards are needed against.
    """
    sys.argv[:] = there["argv"]
    described: dict[str, str | None] = there["main"]
    module = type(sys)("__main__")
    module.__package__ = described["package"]
    if (file := described["file"]) is not None:
        module.__file__ = file
    # By this name, multiprocessing knows that there is nothing to run again in the processes that it starts from here.
    module.__spec__ = type(sys.__spec__)("__main__", None, origin=file)
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    _former.append(sys.modules["__main__"])  # its functions may be running
    sys.modules["__main__"] = module


_former: list[ModuleType] = []
