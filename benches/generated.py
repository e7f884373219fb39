"""Files that are made from the results: written, or held against what would be written."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path


def bring_up_to_date(contents: Mapping[Path, str], *, check: bool, command: str) -> int:
    """Writes the files, or with ``check`` says on stderr how they differ and leaves them alone.

    Args:
        contents: the text that each file should have.
        check: compare only.
        command: what the reader runs to bring the files up to date.

    Returns:
        The exit status: 1 when ``check`` found a difference.
    """
    stale = [path for path, text in contents.items() if not path.exists() or path.read_text("utf-8") != text]
    if not check:
        for path in stale:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(contents[path], encoding="utf-8")
        return 0
    for path in stale:
        found = path.read_text("utf-8") if path.exists() else ""
        difference = difflib.unified_diff(
            found.splitlines(keepends=True),
            contents[path].splitlines(keepends=True),
            str(path),
            "from the results",
        )
        sys.stderr.writelines(difference)
        print(f"{path} does not say what benches/results says: run {command}", file=sys.stderr)
    return 1 if stale else 0
