"""What the tests of this folder have workers do: in a module of its own, which takes no time to import."""

from __future__ import annotations

import os
import time
from typing import Any


def append(path: str, line: str) -> None:
    """Write a line that is whole, whoever else writes."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{line}\n".encode())
    os.close(fd)


def count(path: str, number: int) -> int:
    append(path, str(number))
    return number


class Deadly:
    """Kills whoever unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (11,)


class DeadlyFunction(Deadly):
    def __call__(self) -> None: ...


def fail(*_: object) -> None:
    raise LookupError("the initializer's own")


def break_once_there_is(path: str) -> None:
    if os.path.exists(path):
        fail()


def allocate(megabytes: int, seconds: float = 0) -> int:
    data = bytearray(os.urandom(1 << 20)) * megabytes
    time.sleep(seconds)
    return len(data)


kept: list[bytearray] = []


def keep(megabytes: int) -> int:
    kept.append(bytearray(os.urandom(1 << 20)) * megabytes)
    return os.getpid()


def start_something(path: str) -> None:
    import subprocess

    append(path, str(subprocess.Popen(["sleep", "600"]).pid))
    time.sleep(60)


class Refusing:
    """Is pickled well, and refuses to be unpickled: raises whatever it was made with."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return refuse, (self.error,)


def refuse(error: type[BaseException]) -> None:
    raise error("not here")
