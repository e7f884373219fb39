"""What can't be sent, told in words that help: `NotSerializable` with the path to the culprit.

Only pickle's own refusals are retold. What a user's `__reduce__` or `__getstate__` raises is the user's, and passes
as it is. The two are told apart by where the exception was raised: pickle is written in C, so its own refusals have
no Python frame beyond the pickler's; and the stdlib refuses for its classes, such as sockets, in recognisable words.
"""

from __future__ import annotations

import pickle
import re
from types import TracebackType
from typing import Any

from raddle._internal.errors import NotSerializable
from raddle._internal.serialization import path

_OURS = ("raddle._internal.serialization", "cloudpickle", "copyreg", "pickle")
_WORDS = re.compile(r"(?i:can(?:no|')t (?:be )?pickle|not picklable|unpicklable|pickling is not supported)")
_INHERITED = re.compile(r"through inheritance|created in a fork context")  # multiprocessing's words
_QUEUES = ("Queue", "SimpleQueue", "JoinableQueue")
_INITARGS = "pass it through initargs, to an initializer that stores it in a global"

_HINTS = {
    "_thread.lock": "create it in the worker (initializer=), or pass a raddle.multiprocessing.Lock",
    "_thread.RLock": "create it in the worker (initializer=), or pass a raddle.multiprocessing.RLock",
    "_io.TextIOWrapper": "pass the file's name, and open it in the worker",
    "_io.BufferedReader": "pass the file's name, and open it in the worker",
    "_io.BufferedWriter": "pass the file's name, and open it in the worker",
    "_io.FileIO": "pass the file's name, and open it in the worker",
    "socket.socket": "connect in the worker (initializer=)",
    "ssl.SSLContext": "create it in the worker (initializer=)",
    "sqlite3.Connection": "connect in the worker (initializer=)",
    "builtins.generator": "pass a list of what it yields, or the function that makes it",
    "builtins.coroutine": "pass the coroutine function and its arguments",
    "builtins.async_generator": "pass the function that makes it",
    "builtins.frame": "pass what is needed of it",
    "builtins.traceback": "pass its text (traceback.format_exception)",
}
for _name in (
    "connection.Connection",
    "synchronize.Lock",
    "synchronize.RLock",
    "synchronize.Semaphore",
    "queues.Queue",
):
    _HINTS["multiprocessing." + _name] = _INITARGS
_ANY = "leave it out (__getstate__), or create it in the worker (initializer=)"


def is_refusal(error: BaseException) -> bool:
    """Tell whether pickle refused, rather than code of the user's that it called."""
    if isinstance(error, NotSerializable):
        return False
    if type(error) is RecursionError or type(error) is OverflowError:
        return False
    if type(error) is RuntimeError and _INHERITED.search(str(error)):
        return True
    if type(error) not in (TypeError, AttributeError, pickle.PicklingError, NotImplementedError, ValueError):
        return False
    return _raised_in(error.__traceback__) or (type(error) is TypeError and bool(_WORDS.search(str(error))))


def _raised_in(trace: TracebackType | None) -> bool:
    module = ""
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        trace = trace.tb_next
    return module.startswith(_OURS)


def refused(
    obj: Any, error: BaseException, sent: tuple[str, str, str | None], *, upward: bool
) -> NotSerializable:
    """Make the error that says what can't be sent, and where it is.

    Args:
        obj: what was pickled.
        error: what pickle said of it.
        sent: what it is to the user, as `plain.Sent` says.
        upward: whether it was to go to the parent.
    """
    root, what, task = sent
    found = path.find(obj, root, upward=upward)
    if not root:
        what = "the arguments"
        if found is not None and len(found.names) > 1 and found.names[1].startswith("["):
            what = f"argument {found.names[1][1:-1]}"
    of = f" of task {task!r}" if task else ""
    start = f"can't send {what}{of} {'back' if upward else 'to a worker'}: "
    if found is None:
        return NotSerializable(f"{start}{error}")
    kind = type(found.culprit)
    full = f"{kind.__module__}.{kind.__qualname__}"
    noun = full.removeprefix("builtins.")
    # What pickle says in most cases, "cannot pickle 'socket' object", has been said.
    known = repr(noun) in found.reason or repr(kind.__name__) in found.reason
    reason = "" if known else f" ({found.reason})"
    article = "an" if noun[:1].lower() in "aeiou" else "a"
    fault = f"{found.path()} is {article} {noun}, which can't be pickled{reason}"
    return NotSerializable(f"{start}{fault}; {_HINTS.get(full, _ANY)}", found.path())
