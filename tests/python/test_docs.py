"""The Python in the README and in the guides runs as it stands there."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs/index.md", *sorted(ROOT.glob("docs/guides/*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def program(page: Path) -> str:
    """Return the page's blocks as one program, each line where it stands in the page, so that tracebacks fit."""
    text = page.read_text(encoding="utf-8")
    lines: list[str] = [""] * text.count("\n")
    for block in FENCE.finditer(text):
        first = text.count("\n", 0, block.start(1))
        for offset, line in enumerate(block[1].splitlines()):
            lines[first + offset] = line
    return "\n".join(lines) + "\n"


def run(page: Path, folder: Path) -> str:
    """Run a page in an interpreter of its own, in `folder`; return what it printed."""
    source = program(page)
    assert source.strip(), f"{page.name} has no ```python block"
    script = folder / f"page_{page.stem}.py"
    script.write_text(source, encoding="utf-8")
    fork_on_purpose = "ignore:This process:DeprecationWarning"
    command = [sys.executable, "-W", "error", "-W", fork_on_purpose, str(script)]
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, f"{page.name} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    """One namespace a page, in an interpreter of its own: pages talk about signals, exit and fork."""
    run(page, tmp_path)


def test_the_first_examples_do_what_they_say(tmp_path: Path) -> None:
    """Without files, nothing in the first loop would have run."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    pages = sorted(path.relative_to(ROOT) for path in ROOT.glob("docs/**/*.md"))
    printed = run(ROOT / "README.md", tmp_path).splitlines()
    assert printed[: len(pages)] == [
        f"{page} {hashlib.sha256((ROOT / page).read_bytes()).hexdigest()}" for page in pages
    ]
    told, *members, last = printed[len(pages) :]
    assert told == "this call would close a circle of 2 threads, each of which waits for the next one"
    assert [line.split()[0] for line in members] == ["Thread", "holds", "wants"] * 2
    assert last == "transferred"
