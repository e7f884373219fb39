"""The worker's traceback, attached to an exception in the parent as the stdlib does it."""

from __future__ import annotations

import functools
import linecache
import re

_FRAME = re.compile(r'(?P<margin>[ |+-]*)File "(?P<file>[^"\n]+)", line (?P<line>\d+)(?:, in .*)?$')


@functools.cache
def _remote_traceback() -> type[Exception]:
    try:
        from concurrent.futures.process import _RemoteTraceback
    except Exception:  # too late: that module can't be imported while the interpreter ends

        class _RemoteTraceback(Exception):  # type: ignore[no-redef]
            def __init__(self, tb: str) -> None:
                self.tb = tb

            def __str__(self) -> str:
                return self.tb

    return _RemoteTraceback


def attach(error: BaseException, text: str) -> BaseException:
    """Give an exception the worker's traceback as its `__cause__`."""
    remote = _remote_traceback()(f'\n"""\n{with_sources(text)}"""')
    # What is printed of a chain is `__cause__`, and the text tells of all causes.
    remote.__context__ = error.__cause__
    remote.__suppress_context__ = True
    set_cause(error, remote)
    return error


def set_cause(error: BaseException, cause: BaseException | None) -> None:
    """Set `__cause__` even where the class forbids to set attributes."""
    object.__setattr__(error, "__cause__", cause)


def with_sources(text: str) -> str:
    """Add the source lines that the worker did not have: code from a notebook or a prompt has no file."""
    lines = text.splitlines(keepends=True)
    out: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        out.append(line)
        frame = _FRAME.match(line)
        if frame and not following.startswith(frame["margin"] + "  "):
            source = linecache.getline(frame["file"], int(frame["line"])).strip()
            if source:
                out.append(f"{frame['margin']}  {source}\n")
    return "".join(out)
