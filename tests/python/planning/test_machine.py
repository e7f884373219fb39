"""What a control group allows is what counts, wherever in the tree it stands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raddle._internal import machine


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of control groups of its own; the process is in none."""
    monkeypatch.setattr(machine, "_CGROUPS", str(tmp_path / "cgroup"))
    monkeypatch.setattr(machine, "_OWN_CGROUPS", str(tmp_path / "own"))
    (tmp_path / "cgroup").mkdir()
    return tmp_path


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


def test_no_control_groups_limit_nothing(groups: Path) -> None:
    assert machine.cpu_quota() is None
    assert machine.memory_limit() is None
    assert machine.usable_cores() == len(os.sched_getaffinity(0))


def test_the_tightest_group_of_version_2_counts(groups: Path) -> None:
    put(groups / "own", "0::/outer/inner")
    put(groups / "cgroup/outer/cpu.max", "50000 100000")
    put(groups / "cgroup/outer/inner/cpu.max", "max 100000")
    put(groups / "cgroup/outer/inner/memory.max", "1073741824")
    put(groups / "cgroup/outer/memory.max", "max")
    assert machine.cpu_quota() == 0.5
    assert machine.usable_cores() == 0.5
    assert machine.memory_limit() == 1 << 30


def test_a_container_sees_its_group_as_the_root(groups: Path) -> None:
    put(groups / "own", "0::/docker/of/outside")
    put(groups / "cgroup/cpu.max", "150000 100000")
    assert machine.cpu_quota() == 1.5


def test_version_1(groups: Path) -> None:
    put(groups / "own", "4:cpu,cpuacct:/job\n3:memory:/job\n0::/")
    put(groups / "cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "200000")
    put(groups / "cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000")
    put(groups / "cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1")
    put(groups / "cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000")
    put(groups / "cgroup/memory/job/memory.limit_in_bytes", str(512 << 20))
    put(groups / "cgroup/memory/memory.limit_in_bytes", str((1 << 63) - 4096))
    assert machine.cpu_quota() == 2.0
    assert machine.memory_limit() == 512 << 20


def test_damaged_files_limit_nothing(groups: Path) -> None:
    put(groups / "own", "0::/")
    put(groups / "cgroup/cpu.max", "nonsense")
    put(groups / "cgroup/memory.max", "")
    assert machine.cpu_quota() is None
    assert machine.memory_limit() is None
