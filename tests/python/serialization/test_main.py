"""A program's `__main__`, however it is started, reaches its workers and comes back from them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PROGRAM = HERE / "main_program.py"


def outcome(*arguments: str, stdin: str = "") -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, input=stdin, env=environment, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_script() -> None:
    assert outcome(str(PROGRAM)) == "all is well"


def test_a_module() -> None:
    assert outcome("-m", "tests.python.serialization.main_program") == "all is well"


def test_code_on_the_command_line() -> None:
    assert outcome("-c", PROGRAM.read_text()) == "all is well"


def test_standard_input() -> None:
    assert outcome("-", stdin=PROGRAM.read_text()) == "all is well"


def test_a_zip_application(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__main__.py").write_text(PROGRAM.read_text())
    zipapp.create_archive(package, tmp_path / "program.pyz")
    assert outcome(str(tmp_path / "program.pyz")) == "all is well"


@pytest.mark.parametrize("name", ["__main__", "elsewhere"])
def test_code_run_in_a_namespace_of_its_own(name: str) -> None:
    program = f"import runpy; runpy.run_path({str(PROGRAM)!r}, run_name={name!r})"
    assert outcome("-c", program) == "all is well"
