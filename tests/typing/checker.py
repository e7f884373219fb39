"""Runs mypy over files the way a user's project would: from elsewhere, against the installed wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = "3.10", "3.15"
RUNNING = "{}.{}".format(*sys.version_info)


def complaints(files: list[Path], folder: Path, version: str = RUNNING) -> list[str]:
    """Check files strictly; an ignore comment that nothing needs is a complaint too.

    Args:
        files: what to check.
        folder: an empty one, to run in and for mypy's cache.
        version: of Python, as `3.10`.

    Returns:
        Each line of mypy's report, `file:line: severity: message  [code]`.
    """
    options = ["--strict", "--warn-unreachable", "--config-file=", f"--python-version={version}"]
    shown = ["--no-error-summary", "--hide-error-context", "--no-pretty", "--no-color-output"]
    command = [sys.executable, "-m", "mypy", *options, *shown, *map(str, files)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MYPY")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()
