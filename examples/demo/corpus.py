"""Which files the jobs work on: every readable Python source file of a folder."""

import os
import stat
import sysconfig
from pathlib import Path
from typing import NamedTuple

_NOT_SOURCE = frozenset({"__pycache__", "site-packages", "dist-packages"})


class Source(NamedTuple):
    """One file: where it is, its name below the root (with ``/``), and its size in bytes."""

    path: str
    name: str
    size: int


class Corpus(NamedTuple):
    """The files of a root folder in order of their names, and those that could not be read, with reasons."""

    root: Path
    files: list[Source]
    skipped: list[tuple[str, str]]

    @property
    def size(self) -> int:
        """Total size of the files, in bytes."""
        return sum(file.size for file in self.files)


class NoInput(Exception):
    """The folder is missing, is not a folder, or holds no readable Python file; the message says which."""


def standard_library() -> Path:
    """Return the folder of the running interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def discover(root: Path) -> Corpus:
    """Find the ``.py`` files below `root`, installed packages left out.

    Each file is read once, so that unreadable ones are known beforehand and no way of working pays for a
    cold page cache. Sockets, pipes and devices that call themselves ``.py`` are skipped unopened.

    Raises:
        NoInput: there is nothing to work on.
    """
    if not root.exists():
        raise NoInput(f"{root}: no such folder")
    if not root.is_dir():
        raise NoInput(f"{root}: not a folder")
    files: list[Source] = []
    skipped: list[tuple[str, str]] = []

    def unreadable(error: OSError) -> None:
        skipped.append((str(error.filename), error.strerror or type(error).__name__))

    for folder, folders, names in os.walk(root, onerror=unreadable):
        folders[:] = [name for name in folders if name not in _NOT_SOURCE]
        for name in names:
            if not name.endswith(".py"):
                continue
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, root).replace(os.sep, "/")
            try:
                if not stat.S_ISREG(os.stat(path).st_mode):
                    skipped.append((relative, "not a regular file"))
                    continue
                size = len(Path(path).read_bytes())
            except OSError as error:
                skipped.append((relative, error.strerror or type(error).__name__))
                continue
            files.append(Source(path, relative, size))
    if not files:
        because = f" ({len(skipped)} unreadable, the first: {skipped[0][1]})" if skipped else ""
        raise NoInput(f"{root}: no Python files{because}")
    return Corpus(root, sorted(files, key=lambda file: file.name), sorted(skipped))
