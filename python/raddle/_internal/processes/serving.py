"""What a worker runs between its start and its end."""

from __future__ import annotations

import os
import sys

from raddle import _raddle
from raddle._internal import serialization
from raddle._internal.processes import forwarding, native_threads
from raddle._internal.serialization import plain  # noqa: F401  (every first task wants it, so the zygote imports it)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from typing import Any

FLUSH = 1.0
"""Seconds that a worker takes at most to empty its queues when its initializer has failed."""

_loop: asyncio.AbstractEventLoop | None = None


def serve(channel: int, bell: int, arguments: int, results: int, settings: bytes) -> None:
    """Serve a pool until it has no more need of this worker.

    Args:
        channel: the file descriptor of the memory that messages go through.
        bell: that of the parent's doorbell.
        arguments: that of the parent's arena.
        results: that of this worker's arena.
        settings: what `starting.Order` has put together.
    """
    told = serialization.loads(settings, [])

    os.environ.update(told["variables"])
    forwarding.forward(told["forward"])

    def prepare() -> None:
        native_threads.limit_loaded(told["variables"])
        if (what := told["initializer"]) is not None:
            from raddle._internal.processes import inheritance

            start = inheritance.inherited(what) if isinstance(what, int) else inheritance.received(what)
            try:
                start.run()
            except BaseException:
                log_failure()
                raise

    try:
        _raddle.serve(channel, bell, arguments, results, prepare, run_coroutine, told["max_memory"])
    finally:
        if _loop is not None:
            _loop.close()


def log_failure() -> None:
    """Log what an initializer has raised, as the stdlib's pools do."""
    import logging

    logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=True)
    if util := sys.modules.get("multiprocessing.util"):
        import threading

        # What is in a queue by now, such as that record, is to be there before the news that the executor is broken.
        flushing = threading.Thread(target=util._exit_function, daemon=True)
        flushing.start()
        flushing.join(FLUSH)


def warm() -> None:
    """Import, in a zygote that has nothing else to do, what many tasks want, and no first one is to wait for."""
    import re  # noqa: F401
    import threading  # noqa: F401


def run_coroutine(coroutine: Coroutine[Any, Any, object]) -> object:
    """Run a task that is a coroutine, on the loop that all of this worker's coroutines share."""
    global _loop
    if _loop is None:
        import asyncio

        _loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_loop)
    return _loop.run_until_complete(coroutine)
