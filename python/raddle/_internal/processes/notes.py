"""What workers say besides their results, on the parent's side; `forwarding.py` has the worker's.

A note comes in pieces that fit into a message, each with the note's number and whether there are more. Notes are taken
in the thread that collects results, before the results that were sent after them: so what a task has printed or logged
is there when its result is. That thread waits for whoever holds the interpreter, and the workers, when their channels
are full, for it.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from struct import Struct

from raddle._internal import serialization

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COMPLAINT = 0
"""The pool's own: something went wrong that no task can tell. A text."""

FIRST = 64
"""The kind of a worker's notes that counts as their first."""

WARNING, LOG, STDOUT, STDERR, REQUEST = range(5)
STREAMS = {"stdout": STDOUT, "stderr": STDERR}

PIECE = Struct("<Q?")
CHUNK = 16 * 1024


def describe(name: str, forward_logging: bool) -> dict[str, Any]:
    """Describe, for a worker that is started now, what it is to forward, and what would be of no use."""
    return {
        "name": name,
        "filters": describe_filters(),
        "logging": _levels() if forward_logging else None,
        "streams": {
            name: _is_plain(stream, fd)
            for name, fd in (("stdout", 1), ("stderr", 2))
            if (stream := getattr(sys, name)) is not None
        },
    }


def describe_filters() -> list[tuple[str, str, list[str], str, int]]:
    """Describe the filters of warnings without what a worker would have to import."""
    return [_plain_filter(entry) for entry in warnings.filters]


def _plain_filter(entry: tuple[Any, ...]) -> tuple[str, str, list[str], str, int]:
    action, message, category, module, line = entry
    patterns = [getattr(pattern, "pattern", pattern) or "" for pattern in (message, module)]
    return action, patterns[0], [category.__module__, *category.__qualname__.split(".")], patterns[1], line


def _levels() -> dict[str, Any]:
    logging = sys.modules.get("logging")
    if logging is None:
        return {"levels": {}, "disabled": 0}
    root = logging.getLogger()
    loggers = list(root.manager.loggerDict.items())
    levels = {name: logger.level for name, logger in loggers if getattr(logger, "level", 0)}
    return {"levels": {"": root.level, **levels}, "disabled": root.manager.disable}


def _is_plain(stream: object, fd: int) -> bool:
    """Whether what is written to a stream ends in the process's standard output, and nowhere else."""
    try:
        return type(stream) is io.TextIOWrapper and stream.fileno() == fd
    except (OSError, ValueError):
        return False


class Notes:
    """Takes the notes of one pool's workers."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._pieces: dict[tuple[str, int], list[bytes]] = {}
        self._taken = {WARNING: _warn, LOG: _log, STDOUT: _print, STDERR: _print_error, REQUEST: _serve}

    def __call__(self, worker: str, kind: int, body: bytes) -> None:
        """Take a message."""
        if kind == COMPLAINT:
            warnings.warn(body.decode("utf-8", "replace"), RuntimeWarning, stacklevel=1)
            return
        number, more = PIECE.unpack_from(body)
        piece = body[PIECE.size :]
        if more:
            self._pieces.setdefault((worker, number), []).append(piece)
            return
        whole = b"".join([*self._pieces.pop((worker, number), ()), piece])
        self._taken[kind - FIRST](whole)


_registries: dict[str, dict[Any, Any]] = {}


def _warn(body: bytes) -> None:
    """Warn as if it had been done here: the filters decide, and show it once however many workers say so."""
    what, text, filename, line, module = serialization.loads(body, [])
    message = what if isinstance(what, Warning) else what(text)
    registry = _registries.setdefault(filename, {})
    try:
        warnings.warn_explicit(message, type(message), filename, line, module, registry)
    except type(message):
        # Where it is an error, it has been raised in the task, unless the filters have changed since.
        warnings.showwarning(message, type(message), filename, line)


def _log(body: bytes) -> None:
    import logging

    record = logging.makeLogRecord(serialization.loads(body, []))
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


def _serve(body: bytes) -> None:
    from raddle._internal.processes import handles

    handles.serve(body)


def _print(body: bytes) -> None:
    _write(sys.stdout, body)


def _print_error(body: bytes) -> None:
    _write(sys.stderr, body)


def _write(stream: Any, body: bytes) -> None:
    if stream is not None:
        stream.write(body.decode("utf-8", "backslashreplace"))
        stream.flush()
