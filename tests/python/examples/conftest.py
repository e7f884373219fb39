"""What the tests of the demo share: a folder to work on, and one run of everything on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).resolve().parents[3] / "examples" / "demo"
FILES = 150  # enough that both serial ways of fetching are samples
LIMIT = 100.0  # seconds; far above what the run takes
FUNCTION = """
def function_{number}(items, limit={number}):
    for item in items:
        if item and item != limit:
            yield [part for part in item if part]
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python files of different sizes, in a folder whose name HTML would take for a tag."""
    root = tmp_path_factory.mktemp("corpus") / "a&<b>"
    for number in range(FILES):
        file = root / f"package_{number % 3}" / f"module {number} ü.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(FUNCTION.format(number=n) for n in range(1 + number % 40)), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def full_run_and_report(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """What one run of everything printed as JSON, and the report that it wrote."""
    report = tmp_path_factory.mktemp("report") / "report.html"
    arguments = ["--path", str(folder), "--json", "--report", str(report), "--workers", "2"]
    done = subprocess.run(
        [sys.executable, str(DEMO), *arguments], capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), report.read_text(encoding="utf-8")


@pytest.fixture
def full_run(full_run_and_report: tuple[dict[str, Any], str]) -> dict[str, Any]:
    """What one run of everything printed as JSON."""
    return full_run_and_report[0]


@pytest.fixture
def report(full_run_and_report: tuple[dict[str, Any], str]) -> str:
    """The report of that run."""
    return full_run_and_report[1]
