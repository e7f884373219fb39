"""`share`: an object that is sent to worker processes once."""

from __future__ import annotations

import os
import pickle
from typing import Any, TypeVar

from raddle import _raddle
from raddle._internal import serialization
from raddle._raddle import Shared as Shared
from raddle._raddle import find_shared

T = TypeVar("T")


def share(obj: T) -> Shared[T]:
    """Put an object into shared memory, for any number of tasks in worker processes.

    The handle can be an argument of tasks, or stand anywhere inside of one, and arrives as the object itself. It is
    pickled here, once, and unpickled at most once by each worker; its buffers (those of arrays, for example) are not
    copied, and are read-only there. Changes to anything else in it stay in the worker that makes them.

    The memory is freed when the handle is gone, and with it every task that was submitted with it, and workers have let
    go of what they have made of it, which they do when they next have nothing to do.

    Args:
        obj: anything that can be pickled.

    Returns:
        The handle. `get()` makes the object of it, `nbytes` tells how much memory it takes.

    Raises:
        NotSerializable: part of it can't be pickled.
        OSError: there is no memory or no file descriptor for it.

        >>> import raddle
        >>> words = raddle.share(["warp", "weft"] * 1000)
        >>> with raddle.ProcessPoolExecutor(max_workers=2) as pool:
        ...     list(pool.map(lambda word, words: words.count(word), ["warp", "weft"], [words] * 2))
        [1000, 1000]
    """
    buffers: list[pickle.PickleBuffer] = []
    return Shared(serialization.dumps(obj, buffers), buffers)


share.__module__ = "raddle"


def open_shared(process: int, fd: int, identity: tuple[int, int, int]) -> Any:
    """Make the object of a handle that has arrived, or find it where it has been made before.

    Args:
        process: the process that has the memory open.
        fd: its file descriptor there.
        identity: what tells it from other memory.

    Raises:
        RuntimeError: the handle is gone.
    """
    numbers = list(identity)
    found = find_shared(numbers)
    if found is not None:
        return found
    try:
        # For reading: what all processes see is not to be changed here.
        memory = os.open(f"/proc/{process}/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        return _raddle.open_shared(memory, numbers)
    except FileNotFoundError:
        raise RuntimeError(
            "the shared object is gone: keep the handle that raddle.share returned while tasks use it"
        ) from None
