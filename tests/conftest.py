"""What every Python test runs under.

The tests hold for the wheel as a user installs it, so an import from the source tree is refused.
``RADDLE_SWITCH_INTERVAL`` (seconds) makes the interpreter hand its lock over that often: with 1e-6, threads meet
in places where they hardly ever do otherwise.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parent.parent / "python"


def pytest_configure() -> None:
    """Set the switch interval, and refuse the source tree in place of the wheel."""
    if interval := os.environ.get("RADDLE_SWITCH_INTERVAL"):
        sys.setswitchinterval(float(interval))
    spec = importlib.util.find_spec("raddle")
    if spec and spec.origin and SOURCES in Path(spec.origin).resolve().parents:
        raise pytest.UsageError(
            f"raddle comes from {SOURCES}, not from the installed wheel: run `make pytest`"
        )


def pytest_report_header() -> str:
    """Say which raddle is tested, and how often the interpreter's lock changes hands."""
    spec = importlib.util.find_spec("raddle")
    origin = spec.origin if spec else "not installed"
    return f"raddle: {origin}, switch interval {sys.getswitchinterval():g} s"
