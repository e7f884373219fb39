"""What a process may do, and what it sees: workers have it from the zygote, and can't take over what has changed since.

A daemon that gives up its privileges after it has used a pool would otherwise run tasks with all of them. So zygotes
are told apart by this, and none forks a worker for a parent that may do less than it.
"""

from __future__ import annotations

import os

_LINES = (b"Uid:", b"Gid:", b"Groups:", b"Cap", b"NoNewPrivs:", b"Seccomp")
_NAMESPACES = ("user", "mnt", "net", "ipc", "uts", "cgroup", "pid_for_children")


def privileges() -> tuple[object, ...]:
    """Return the users, groups, capabilities and filters of this process, its root folder and its namespaces."""
    status = [line for line in _status() if line.startswith(_LINES)]
    root = os.stat("/")
    return (*status, root.st_dev, root.st_ino, *map(_namespace, _NAMESPACES))


def groups() -> bytes:
    """Return the control groups of this process: workers take part in the limits of their zygote's."""
    try:
        with open("/proc/self/cgroup", "rb") as file:
            return file.read()
    except OSError:
        return b""


def umask() -> int:
    """Return the mask of the modes of new files. `os.umask` tells it only by changing it, for all threads."""
    return next((int(line[6:], 8) for line in _status() if line.startswith(b"Umask:")), 0o022)


def _status() -> list[bytes]:
    with open("/proc/self/status", "rb") as file:
        return file.read().splitlines()


def _namespace(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/ns/{name}")
    except OSError:
        return ""  # an old kernel, or a process that may not look at itself
