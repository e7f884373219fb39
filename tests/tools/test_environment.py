"""The script that makes environments touches nothing that it has not made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "environment.py"


def environment(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the script in `folder`."""
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_a_folder_of_the_user_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "work" / "precious"
    precious.parent.mkdir()
    precious.touch()
    done = environment("work", folder=tmp_path)
    assert done.returncode != 0
    assert "not a virtual environment" in done.stderr
    assert precious.exists()


def test_an_option_is_no_folder(tmp_path: Path) -> None:
    assert environment("--help", folder=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []
