"""What of the machine this process may really use: containers promise less than `os.cpu_count` says."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Without pathlib, whose import every program with a pool of processes would wait for.
_CGROUPS = "/sys/fs/cgroup"
_OWN_CGROUPS = "/proc/self/cgroup"

_NO_LIMIT = 1 << 60
"""Bytes from which on version 1 of control groups means that there is no limit."""


def usable_cores() -> float:
    """Return how many cores this process may use at a time: those of its affinity mask, within its group's quota.

    A quota may be a fraction: 1.5 cores are one and a half seconds of processor time in each second.
    """
    allowed = len(os.sched_getaffinity(0))
    quota = cpu_quota()
    return allowed if quota is None else min(allowed, quota)


def cpu_quota() -> float | None:
    """Return the processor time in each second that the control groups allow, in seconds; None for no limit."""
    quotas = []
    for folder, version in _groups("cpu"):
        try:
            if version == 2:
                quota, period = _read(folder, "cpu.max").split()
            else:
                quota = _read(folder, "cpu.cfs_quota_us").strip()
                period = _read(folder, "cpu.cfs_period_us")
            if quota not in ("max", "-1"):
                quotas.append(int(quota) / int(period))
        except (OSError, ValueError):
            continue
    return min(quotas, default=None)


def memory() -> int:
    """Return how many bytes of memory the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_limit() -> int | None:
    """Return how many bytes of memory the control groups allow; None for no limit."""
    limits = []
    for folder, version in _groups("memory"):
        try:
            limit = _read(folder, "memory.max" if version == 2 else "memory.limit_in_bytes").strip()
            if limit != "max" and int(limit) < _NO_LIMIT:
                limits.append(int(limit))
        except (OSError, ValueError):
            continue
    return min(limits, default=None)


def _read(folder: str, name: str) -> str:
    with open(os.path.join(folder, name)) as file:
        return file.read()


def _groups(controller: str) -> Iterator[tuple[str, int]]:
    """Yield the folders of this process's control groups and of all above them, each with its version, 1 or 2."""
    try:
        with open(_OWN_CGROUPS) as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        _number, controllers, path = line.split(":", 2)
        if not controllers:
            root, version = _CGROUPS, 2
        elif controller in controllers.split(","):
            root, version = os.path.join(_CGROUPS, controllers), 1
        else:
            continue
        # A container sees its own group as the root, whatever its path outside.
        folder = os.path.normpath(os.path.join(root, path.lstrip("/")))
        if not os.path.isdir(folder):
            folder = root
        while os.path.commonpath([folder, root]) == root:
            yield folder, version
            folder = os.path.dirname(folder)
