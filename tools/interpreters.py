"""Find the CPython versions on this machine that Raddle supports.

Looked at, in this order: the paths in the environment variable RADDLE_PYTHONS (separated as in PATH), PATH itself, the
versions that pyenv and uv have installed, and interpreters unpacked into the user's cache folder (XDG_CACHE_HOME, else
``~/.cache``). Each candidate is run once and says what it is, so that shims, virtual environments and links resolve to
the interpreter behind them. Of several with the same version, the one that brings the most along (CPython's own test
suites, pip) is taken, then the latest.

Free-threaded builds, pre-releases and other implementations are left out.

    python tools/interpreters.py all             every version found, oldest first, one path a line
    python tools/interpreters.py oldest          likewise: newest
    python tools/interpreters.py ends --others   oldest and newest, without the version that runs this script
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

OLDEST_SUPPORTED = (3, 10)
NEWEST_SUPPORTED = (3, 15)

PROBE = """
import importlib.util, json, sys, sysconfig
found = lambda name: importlib.util.find_spec(name) is not None
print(json.dumps({
    "path": getattr(sys, "_base_executable", None) or sys.executable,
    "version": list(sys.version_info[:3]),
    "usable": sys.implementation.name == "cpython" and sys.version_info[3] == "final"
        and not sysconfig.get_config_var("Py_GIL_DISABLED") and found("venv"),
    "pip": found("ensurepip") or found("pip"),
    "suites": found("test") and found("test.test_concurrent_futures"),
}))
"""


class Interpreter(NamedTuple):
    """One CPython; the fields stand in the order of preference within a version."""

    suites: bool
    pip: bool
    version: tuple[int, int, int]
    path: str


def candidates() -> Iterator[str]:
    """Yield the paths that may be interpreters, without having run any of them."""
    yield from filter(None, os.environ.get("RADDLE_PYTHONS", "").split(os.pathsep))
    minors = range(OLDEST_SUPPORTED[1], NEWEST_SUPPORTED[1] + 1)
    names = ["python3", "python", *(f"python3.{minor}" for minor in minors)]
    for folder, name in itertools.product(os.get_exec_path(), names):
        if path := shutil.which(name, path=folder):
            yield path
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    for parent, pattern in (
        (pyenv, "versions/*/bin/python3.*"),
        (home / ".local/share/uv/python", "*/bin/python3.*"),
        (cache, "*/bin/python3.*"),
    ):
        yield from (
            str(path) for path in sorted(parent.glob(pattern)) if re.search(r"python3\.\d+$", path.name)
        )


def probe(path: str) -> Interpreter | None:
    """Run one candidate; None when it does not start or is not supported."""
    try:
        answer = subprocess.run(
            [path, "-I", "-c", PROBE], capture_output=True, text=True, timeout=60, check=True
        )
        facts = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, json.JSONDecodeError):
        return None
    version = tuple(facts["version"])
    if not (facts["usable"] and OLDEST_SUPPORTED <= version[:2] <= NEWEST_SUPPORTED):
        return None
    return Interpreter(facts["suites"], facts["pip"], version, facts["path"])


def find() -> list[Interpreter]:
    """Return the best interpreter of each supported version found, oldest first."""
    unique = {os.path.realpath(path): path for path in reversed(list(candidates()))}
    found = [interpreter for path in unique.values() if (interpreter := probe(path))]
    by_version = sorted(found, key=lambda interpreter: interpreter.version[:2])
    groups = itertools.groupby(by_version, key=lambda interpreter: interpreter.version[:2])
    return [max(group) for _, group in groups]


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the supported CPython interpreters of this machine.")
    parser.add_argument("which", choices=["all", "oldest", "newest", "ends"])
    parser.add_argument("--others", action="store_true", help="leave out the version that runs this script")
    arguments = parser.parse_args()
    found = find()
    if not found:
        print("no supported CPython found; name one in RADDLE_PYTHONS", file=sys.stderr)
        return 1
    chosen = {
        "all": found,
        "oldest": found[:1],
        "newest": found[-1:],
        "ends": [found[0], found[-1]] if len(found) > 1 else found,
    }[arguments.which]
    for interpreter in chosen:
        if not (arguments.others and interpreter.version[:2] == sys.version_info[:2]):
            print(interpreter.path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
