"""The worker's side of what is forwarded to the parent: warnings, log records, and what is printed.

All of it goes through the channel as notes (`notes.py` has the parent's side), in the order in which it was said, and
before the result of the task that said it. A thread that says more than the parent reads waits.

**Printing.** Text is passed on in whole lines, so that those of several workers do not mix, and so that what a task has
printed is out before anything can kill it. Where the parent's stream is the plain standard output of its process, the
worker writes to that itself; elsewhere (in a notebook, say) the text goes to whatever the parent's `sys.stdout` is.
"""

from __future__ import annotations

import io
import itertools
import os
import sys
import warnings
from _thread import RLock

from raddle import _raddle
from raddle._internal import serialization
from raddle._internal.processes import identity
from raddle._internal.processes.notes import CHUNK, LOG, PIECE, STREAMS, WARNING, describe_filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Buffer

_numbers = itertools.count()


def tell(kind: int, body: bytes) -> bool:
    """Tell the parent something; return whether there is one."""
    number = next(_numbers)
    for start in range(0, len(body) or 1, CHUNK):
        piece = body[start : start + CHUNK]
        if not _raddle.tell_parent(kind, PIECE.pack(number, start + CHUNK < len(body)) + piece):
            return False
    return True


def forward(told: dict[str, Any]) -> None:
    """Forward from now on, as `notes.describe` has described it."""
    _forward_warnings(told["filters"])
    if (described := told["logging"]) is not None:
        identity.when_imported("logging", lambda logging: _forward_logging(logging, described, told["name"]))
    for name, plain in told["streams"].items():
        setattr(sys, name, _stream(name, plain))


def _forward_warnings(filters: list[tuple[str, str, list[str], str, int]]) -> None:
    warnings.showwarning = _show_warning
    if filters == describe_filters():
        return  # as they usually are; setting them takes patterns, and importing those takes long
    warnings.resetwarnings()
    for action, message, (module, *path), where, line in filters:
        category: Any = sys.modules.get(module)
        for name in path:
            category = getattr(category, name, None)
        # Of a category that has not been imported nobody warns.
        if isinstance(category, type) and issubclass(category, Warning):
            warnings.filterwarnings(action, message, category, where, line, append=True)  # type: ignore[arg-type]


_show_here = warnings.showwarning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    if file is None:
        module = next(
            (name for name, module in list(sys.modules.items()) if _file_of(module) == filename), None
        )
        text = str(message)
        for what in (message, category, RuntimeWarning):
            try:
                body = serialization.dumps((what, text, filename, lineno, module), None)
            except Exception:
                continue
            if tell(WARNING, body):
                return
            break
    _show_here(message, category, filename, lineno, file, line)


def _file_of(module: object) -> object:
    try:
        return module.__file__  # type: ignore[attr-defined]
    except Exception:
        return None


def _forward_logging(logging: Any, described: dict[str, Any], name: str) -> None:
    """Have the parent's loggers handle what reaches a logger here."""

    class Forwarding(logging.Handler):  # type: ignore[misc]
        def emit(self, record: Any) -> None:
            try:
                contents = dict(vars(record), msg=record.getMessage(), args=None, exc_info=None)
                if "multiprocessing" not in sys.modules:
                    contents["processName"] = name
                if record.exc_info and not record.exc_text:
                    contents["exc_text"] = logging.Formatter().formatException(record.exc_info)
                try:
                    body = serialization.dumps(contents, None)
                except Exception:
                    contents = {key: _sendable(value) for key, value in contents.items()}
                    body = serialization.dumps(contents, None)
                if not tell(LOG, body) and logging.lastResort is not None:
                    logging.lastResort.handle(record)
            except Exception:
                self.handleError(record)

    root = logging.getLogger()
    # Handlers that a fork has inherited, or a preloaded module has set up, are the parent's affair.
    for logger in [root, *logging.Logger.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
    root.addHandler(Forwarding())
    for name, level in described["levels"].items():
        logging.getLogger(name).setLevel(level)
    logging.disable(described["disabled"])


def _sendable(value: Any) -> Any:
    """Return a value of a log record, or what it looks like if it can't be sent."""
    try:
        serialization.dumps(value, None)
    except Exception:
        return repr(value)
    return value


def _stream(name: str, plain: bool) -> io.TextIOWrapper:
    before = getattr(sys, name)
    encoding = getattr(before, "encoding", None) if plain else "utf-8"
    errors = getattr(before, "errors", None) if plain else "backslashreplace"
    lines = _Lines(name, plain)
    return io.TextIOWrapper(lines, encoding or "utf-8", errors or "strict", write_through=True)


class _Lines(io.RawIOBase):
    """Passes on whole lines."""

    _LONGEST = 1 << 16

    def __init__(self, name: str, plain: bool) -> None:
        self.name = f"<{name}>"
        self._fd = 1 if name == "stdout" else 2
        self._kind = None if plain else STREAMS[name]
        self._lock = RLock()
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return self._kind is None and os.isatty(self._fd)

    def write(self, data: Buffer, /) -> int:
        data = bytes(data)
        with self._lock:
            self._waiting += data
            end = len(self._waiting) if len(self._waiting) > self._LONGEST else self._waiting.rfind(b"\n") + 1
            if end:
                self._pass_on(end)
        return len(data)

    def flush(self) -> None:
        with self._lock:
            if self._waiting:
                self._pass_on(len(self._waiting))

    def _pass_on(self, end: int) -> None:
        lines = bytes(self._waiting[:end])
        del self._waiting[:end]
        if self._kind is not None and tell(self._kind, lines):
            return
        while lines:
            lines = lines[os.write(self._fd, lines) :]
