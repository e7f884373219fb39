"""Interpreters are found, told apart and ranked."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import interpreters


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a home and PATH in which there is nothing to find."""
    for name in ("HOME", "PYENV_ROOT", "PATH"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("RADDLE_PYTHONS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def here() -> str:
    """Return the interpreter behind this one, which may be a virtual environment's."""
    path: str = getattr(sys, "_base_executable", None) or sys.executable
    return path


def test_nothing_is_found_where_nothing_is(bare: Path) -> None:
    assert interpreters.find() == []


@pytest.mark.parametrize(
    "place",
    ["python3", ".cache/unpacked/bin/python3.10", "versions/3.12.1/bin/python3.12"],
)
def test_interpreter_is_found_where_people_put_them(bare: Path, place: str) -> None:
    link = bare / place
    link.parent.mkdir(parents=True, exist_ok=True)
    # A script, as version managers install them: the interpreter behind it is what counts.
    link.write_text(f'#!/bin/sh\nexec "{here()}" "$@"\n')
    link.chmod(0o755)
    (found,) = interpreters.find()
    assert found.version == sys.version_info[:3]
    assert Path(found.path).samefile(here())


def test_same_version_is_listed_once(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = []
    for name in ("one", "two"):
        copy = bare / name
        copy.write_text(f'#!/bin/sh\nexec "{here()}" "$@"\n')
        copy.chmod(0o755)
        copies.append(str(copy))
    monkeypatch.setenv("RADDLE_PYTHONS", os.pathsep.join(copies))
    assert len(interpreters.find()) == 1


def test_broken_candidates_are_passed_over(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = bare / "broken"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("RADDLE_PYTHONS", os.pathsep.join([str(broken), str(bare / "absent"), here()]))
    assert [found.version[:2] for found in interpreters.find()] == [sys.version_info[:2]]
