"""What of the machine this process may really use: containers promise less than `os.cpu_count` says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")

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
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text()
            if quota not in ("max", "-1"):
                quotas.append(int(quota) / int(period))
        except (OSError, ValueError):
            continue
    return min(quotas, default=None)


def memory_limit() -> int | None:
    """Return how many bytes of memory the control groups allow; None for no limit."""
    limits = []
    for folder, version in _groups("memory"):
        try:
            limit = (folder / ("memory.max" if version == 2 else "memory.limit_in_bytes")).read_text().strip()
            if limit != "max" and int(limit) < _NO_LIMIT:
                limits.append(int(limit))
        except (OSError, ValueError):
            continue
    return min(limits, default=None)


def _groups(controller: str) -> Iterator[tuple[Path, int]]:
    """Yield the folders of this process's control groups and of all above them, each with its version, 1 or 2."""
    try:
        lines = _OWN_CGROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _number, controllers, path = line.split(":", 2)
        if not controllers:
            root, version = _CGROUPS, 2
        elif controller in controllers.split(","):
            root, version = _CGROUPS / controllers, 1
        else:
            continue
        # A container sees its own group as the root, whatever its path outside.
        folder = root / path.lstrip("/")
        if not folder.is_dir():
            folder = root
        yield folder, version
        for above in folder.parents:
            if not above.is_relative_to(root):
                break
            yield above, version
