"""Hold the files that people read to a size that they can take in: 800 lines, and better 300.

Looks at what git tracks or would track, except lock files and the extension's stub.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 800
# One module has one stub: what it declares is looked up, not read.
STUBS = {"python/raddle/_raddle.pyi"}
SUFFIXES = {".rs", ".py", ".pyi", ".md", ".toml", ".sh", ".yaml", ".yml"}
NAMES = {"Makefile"}


def main() -> int:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    too_long = 0
    for path in paths:
        if path.is_file() and (path.suffix in SUFFIXES or path.name in NAMES):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > LIMIT and str(path.relative_to(ROOT)) not in STUBS:
                print(f"{path.relative_to(ROOT)}: {lines} lines, the limit is {LIMIT}", file=sys.stderr)
                too_long += 1
    return bool(too_long)


if __name__ == "__main__":
    sys.exit(main())
