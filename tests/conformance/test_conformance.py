"""Runs the interpreter's own suites against the installed Raddle, one test per suite; see README.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .suites import SUITES

ROOT = Path(__file__).resolve().parents[2]
SUITE_LIMIT = 600


@pytest.mark.slow
@pytest.mark.timeout(SUITE_LIMIT + 60)
@pytest.mark.parametrize("name", SUITES)
def test_the_interpreters_own_suite_passes(name: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [
        sys.executable,
        "-m",
        "tests.conformance",
        name,
        "--suite-limit",
        str(SUITE_LIMIT),
        "--json",
        str(report),
        *(f"-k{pattern}" for pattern in SUITES[name].short),
    ]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert ended.returncode == 0, f"\n{ended.stdout}"
    (suite,) = json.loads(report.read_text(encoding="utf-8"))["suites"]
    if suite["missing"]:
        pytest.skip(suite["missing"])
    assert suite["passed"] + suite["excepted"] == suite["total"] > 0
