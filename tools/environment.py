"""Create a virtual environment with pip in it, also from an interpreter that comes without pip.

    python tools/environment.py DIRECTORY

The environment is made from the interpreter that runs this script. When DIRECTORY already is one of the same
interpreter, nothing happens and its stamp, ``DIRECTORY/.created``, keeps its time; when it is one of another
interpreter, it is replaced.

Some distributions ship interpreters without a working ``ensurepip``. Such an environment is made without pip,
which then comes from another interpreter of this machine (see interpreters.py): pip can install into an
environment other than its own.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import interpreters


def identity() -> str:
    """Return what makes an environment stale when it changes: the interpreter's version and place."""
    return f"{sys.version}\n{sys.base_prefix}\n"


def remove(directory: Path) -> None:
    """Delete an environment; refuse when the folder holds anything else."""
    if not directory.exists():
        return
    if not (directory / "pyvenv.cfg").exists():
        raise SystemExit(f"{directory} is in the way: it is not a virtual environment")
    shutil.rmtree(directory)


def run(*command: str | Path) -> None:
    """Run one command and end the script, with its output in sight, when it fails."""
    if code := subprocess.run([*map(str, command)]).returncode:
        raise SystemExit(code)


def make_with_pip(python: str, directory: Path) -> bool:
    """Make an environment with pip; False when ``ensurepip`` is missing, or was shipped without its wheels."""
    return subprocess.run([python, "-m", "venv", "--clear", directory], capture_output=True).returncode == 0


def borrow_pip(python: Path) -> None:
    """Install pip into the environment of `python` with the pip of another interpreter."""
    with tempfile.TemporaryDirectory() as scratch:
        for found in reversed(interpreters.find()):
            if found.pip and make_with_pip(found.path, Path(scratch)):
                break
        else:
            raise SystemExit(
                f"{sys.executable} has no working ensurepip (on Debian: apt install python3-venv), "
                "and neither has another CPython here"
            )
        # Brought up to date first: an old pip does not run on an interpreter that is newer than it.
        donor = [f"{scratch}/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        run(*donor, "install", "--upgrade", "pip")
        run(*donor, "--python", python, "install", "pip")


def create(directory: Path) -> None:
    """Make the environment; the stamp comes last, so that a broken attempt is started again."""
    remove(directory)
    if not make_with_pip(sys.executable, directory):
        run(sys.executable, "-m", "venv", "--clear", "--without-pip", directory)
        borrow_pip(directory / "bin" / "python")
    (directory / ".created").write_text(identity())


def main() -> int:
    parser = argparse.ArgumentParser(description="Create a virtual environment with pip in it.")
    parser.add_argument("directory", type=Path, help="its place; an older environment there may be replaced")
    directory: Path = parser.parse_args().directory.absolute()
    oldest, newest = interpreters.OLDEST_SUPPORTED, interpreters.NEWEST_SUPPORTED
    if not oldest <= sys.version_info[:2] <= newest:
        raise SystemExit(f"Python {sys.version.split()[0]}: Raddle supports 3.{oldest[1]} to 3.{newest[1]}")
    stamp = directory / ".created"
    if not stamp.exists() or stamp.read_text() != identity():
        create(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
