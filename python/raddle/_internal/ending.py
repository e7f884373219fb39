"""The end of the interpreter.

The stdlib runs every queued task before the program ends, and so does Raddle, unless the program ends by Ctrl-C: then
tasks that have not begun are cancelled and nothing is waited for.
"""

import sys
import threading

from raddle import _raddle
from raddle._internal.workers import alive


def _interrupted() -> bool:
    """Whether an uncaught KeyboardInterrupt ends the program. At a prompt one is shown and the session goes on."""
    last = getattr(sys, "last_type", None)
    at_prompt = hasattr(sys, "ps1") or sys.flags.interactive
    return not at_prompt and isinstance(last, type) and issubclass(last, KeyboardInterrupt)


def _finish() -> None:
    interrupted = _interrupted()
    _raddle.finish_pools(interrupted)
    if not interrupted:
        for workers in list(alive):
            workers.join()


# Runs before the interpreter waits for its threads, as the stdlib's own executors do it.
threading._register_atexit(_finish)  # type: ignore[attr-defined]
