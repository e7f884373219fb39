"""What a report of a bug should tell of the surroundings, and what of it will bite."""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import signal
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from raddle._internal import __version__
from raddle._internal.machine import cpu_quota, memory, memory_limit, usable_cores

PACKAGES = ("cloudpickle", "rich", "tqdm", "threadpoolctl", "numpy", "greenlet", "uvloop", "gevent")
"""What Raddle works with, or what works beside it."""

_FEW_FILES = 1024
_LITTLE_SHARED_MEMORY = 256 << 20

Facts = dict[str, dict[str, "str | int | float | bool | None"]]


class Bite(NamedTuple):
    """Something that will bite, and what helps."""

    what: str
    cure: str


class Diagnosis(NamedTuple):
    """The facts, by group and name, and what will bite."""

    facts: Facts
    bites: list[Bite]


def diagnose() -> Diagnosis:
    """Look at the interpreter, the machine and the limits.

    Returns:
        Sizes are in bytes; None stands for no limit, or for what can't be found out.
    """
    facts: Facts = {
        "versions": {
            "raddle": __version__,
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "compiler": platform.python_compiler(),
            "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
            "libc": " ".join(platform.libc_ver()) or None,
        },
        "interpreter": {
            "executable": sys.executable,
            "free_threaded_build": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
            "gil": bool(getattr(sys, "_is_gil_enabled", lambda: True)()),
            "switch_interval": sys.getswitchinterval(),
            "start_method": multiprocessing.get_start_method(allow_none=True)
            or multiprocessing.get_all_start_methods()[0],
            "optimized": sys.flags.optimize,
            "dev_mode": sys.flags.dev_mode,
        },
        "machine": {
            "cores": os.cpu_count(),
            "affinity": len(os.sched_getaffinity(0)),
            "cgroup_cores": cpu_quota(),
            "usable_cores": usable_cores(),
            "memory": memory(),
            "cgroup_memory": memory_limit(),
            "shared_memory_room": _room("/dev/shm"),
        },
        "limits": {
            "open_files": _limit(resource.RLIMIT_NOFILE),
            "processes": _limit(resource.RLIMIT_NPROC),
            "address_space": _limit(resource.RLIMIT_AS),
        },
        "kernel": {"memfd": _has_memfd(), "pidfd": _has_pidfd()},
        "packages": {name: _version(name) for name in PACKAGES},
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(("RADDLE_", "OMP_", "OPENBLAS_", "MKL_")) or name == "PYTHON_GIL"
        },
    }
    return Diagnosis(facts, list(_bites(facts)))


def _bites(facts: Facts) -> Iterator[Bite]:
    interpreter, machine, limits, kernel = (
        facts[group] for group in ("interpreter", "machine", "limits", "kernel")
    )
    files = limits["open_files"]
    if isinstance(files, int) and files < _FEW_FILES:
        yield Bite(
            f"only {files} files may be open, and each worker process takes four",
            "raise the limit: ulimit -n 4096",
        )
    room = machine["shared_memory_room"]
    if isinstance(room, int) and room < _LITTLE_SHARED_MEMORY:
        yield Bite(
            f"/dev/shm has room for {room >> 20} MB (Raddle does not use it; multiprocessing and joblib do)",
            "in a container: docker run --shm-size=1g",
        )
    usable, cores = machine["usable_cores"], machine["cores"]
    if isinstance(usable, float | int) and isinstance(cores, int) and usable < cores:
        yield Bite(
            f"the machine has {cores} cores, this process may use {usable:g}",
            "give worker counts yourself where a library asks os.cpu_count()",
        )
    if interpreter["free_threaded_build"] and interpreter["gil"]:
        yield Bite(
            "a free-threaded build of Python runs with the GIL",
            "see which import switched it on with python -W default, or force it off with PYTHON_GIL=0",
        )
    for name in ("memfd", "pidfd"):
        if not kernel[name]:
            yield Bite(
                f"the kernel or the container refuses {name}, which worker processes need",
                "Linux 5.4 or newer, and a seccomp profile that lets it through",
            )
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        yield Bite(
            "SIGCHLD is ignored: nobody can learn how a child process has ended",
            "start Python from a shell that does not ignore it",
        )


def _limit(which: int) -> int | None:
    soft, _hard = resource.getrlimit(which)
    return None if soft == resource.RLIM_INFINITY else soft


def _room(folder: str) -> int | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _has_memfd() -> bool:
    try:
        os.close(os.memfd_create("raddle-doctor"))
    except OSError:
        return False
    return True


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
