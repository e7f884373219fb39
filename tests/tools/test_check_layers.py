"""The check between the layers of the package finds what it is there to find."""

from __future__ import annotations

from pathlib import Path

import pytest

import check_layers

MODULES = {
    "__init__.py": "from raddle.futures import name\n",
    "futures.py": "import queue\n\nfrom raddle._internal.pool import name\nfrom raddle import queue\n",
    "queue.py": "from ._internal import pool\n",
    "_internal/__init__.py": "",
    "_internal/pool.py": "from raddle._raddle import name\nfrom . import pool\n",
}


def package(folder: Path, **changed: str) -> Path:
    """Write a small package with `changed` modules, by path without the suffix."""
    root = folder / "raddle"
    for name, text in {**MODULES, **{f"{name}.py": text for name, text in changed.items()}}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_imports_downward_pass(tmp_path: Path) -> None:
    assert list(check_layers.python_faults(package(tmp_path))) == []


@pytest.mark.parametrize(
    ("module", "text", "fault"),
    [
        ("_internal/pool", "import raddle.futures", "which is above it"),
        ("_internal/pool", "from ..futures import name", "which is above it"),
        ("_internal/pool", "def late():\n    from raddle import futures", "which is above it"),
        ("futures", "import raddle", "which is above it"),
        ("futures", "from raddle import __version__", "which is above it"),
        ("futures", "from raddle._raddle import name", "only raddle._internal does that"),
        ("futures", "from . import _raddle", "only raddle._internal does that"),
        ("__init__", "import raddle._raddle", "only raddle._internal does that"),
    ],
)
def test_imports_upward_and_past_a_layer_fail(tmp_path: Path, module: str, text: str, fault: str) -> None:
    (found,) = check_layers.python_faults(package(tmp_path, **{module: text}))
    assert found.startswith(f"raddle/{module}.py:")
    assert found.endswith(fault)
