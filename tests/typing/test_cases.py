"""What the public types promise, as mypy sees it from outside.

The files in `cases` state types with `assert_type`, and misuse with `# type: ignore[code]`: where mypy has nothing to
ignore, it says so. They are never run.
"""

from __future__ import annotations

import concurrent.futures
from pathlib import Path

import pytest

import raddle
import raddle.futures
import raddle.threading
from tests.typing.checker import NEWEST, OLDEST, complaints

CASES = sorted((Path(__file__).parent / "cases").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_cases_hold(version: str, tmp_path: Path) -> None:
    assert len(CASES) > 1
    assert complaints(CASES, tmp_path, version) == []


@pytest.mark.slow
def test_every_name_that_can_be_imported_exists_for_type_checkers(tmp_path: Path) -> None:
    names = [
        *(("raddle", name) for name in raddle.__all__),
        *(("raddle.futures", name) for name in raddle.futures.__all__),
        *(("raddle.futures", name) for name in concurrent.futures.__all__),
        *(("raddle.threading", name) for name in raddle.threading.__all__),
    ]
    assert ("raddle.futures", "ProcessPoolExecutor") in names
    explicit = tmp_path / "explicit.py"
    explicit.write_text("".join(f"from {module} import {name} as {name}\n" for module, name in names))
    starred = tmp_path / "starred.py"
    futures = sorted({name for module, name in names if module == "raddle.futures"})
    starred.write_text("from raddle.futures import *\n" + "".join(f"_{name} = {name}\n" for name in futures))
    assert complaints([explicit, starred], tmp_path) == []
