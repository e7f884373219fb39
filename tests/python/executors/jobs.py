"""The tasks of the contract: functions and classes that a worker process finds by name, light to import."""

from __future__ import annotations

import contextvars
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import raddle

LONG = 60.0
VARIABLE: contextvars.ContextVar[Any] = contextvars.ContextVar("VARIABLE", default="unset")
_INITIALIZED: list[tuple[int, int]] = []


class Door:
    """A task that says that it has come, and goes on when its `Gate` is opened, in whichever process it runs."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __call__(self, value: object = None) -> object:
        with socket.socket(socket.AF_UNIX) as visit:
            visit.settimeout(LONG)
            visit.connect(self.address)
            assert visit.recv(1), "nobody opened the gate"
        return value

    def failing(self) -> None:
        """Come, wait, and raise."""
        self()
        raise ZeroDivisionError

    def unless_zero(self, number: int) -> int:
        """Come and wait for the gate with 0 alone."""
        return number if number else int(str(self(number)))

    def with_others(self, number: int) -> int:
        """Come and wait for the gate with anything but 0."""
        return int(str(self(number))) if number else 0


class Journal:
    """Lines that tasks write from any process, in the order of writing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, what: object) -> int:
        """Write a line; return how many there were before."""
        with open(self.path, "a+", encoding="utf-8") as file:
            file.seek(0)
            before = len(file.readlines())
            file.write(f"{what}\n")
        return before

    def lines(self) -> list[str]:
        """Return what has been written so far."""
        return self.path.read_text("utf-8").splitlines() if self.path.exists() else []


class Flaky:
    """Fails so many times, then returns how often it was called; the journal remembers, whoever runs it."""

    def __init__(self, journal: Journal, failures: int, error: type[BaseException] = ValueError) -> None:
        self.journal = journal
        self.failures = failures
        self.error = error

    def __call__(self) -> int:
        calls = 1 + self.journal.note("attempt")
        if calls <= self.failures:
            raise self.error(calls)
        return calls


class Custom(Exception):
    """An error of a program's own, with an attribute."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message, code)
        self.code = code


def gather(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    return args, kwargs


def fail(kind: type[BaseException], *args: Any) -> None:
    raise kind(*args)


def fail_as(kind: type[BaseException], _: object) -> None:
    raise kind("no")


def fail_with_cause() -> None:
    try:
        int("x")
    except ValueError as error:
        raise Custom("no", 7) from error


def recurse() -> None:
    recurse()


def spin() -> None:
    while True:
        pass


def exit_with(code: int) -> None:
    sys.exit(code)


def change_variable(_: object = None) -> Any:
    """Return the value that the task was given, and change it."""
    before = VARIABLE.get()
    VARIABLE.set("task's")
    return before


def initialize(number: int) -> None:
    _INITIALIZED.append((worker(), number))


def initialized(_: object = None) -> list[int]:
    """Return what the worker that runs this was initialised with, once for each time."""
    return [number for who, number in _INITIALIZED if who == worker()]


def worker() -> int:
    """Return a number that no other worker has at the same time."""
    return hash((os.getpid(), threading.get_native_id()))


def fail_to_initialize(door: Door) -> None:
    door()
    raise ValueError("no initialisation")


def fibonacci(executor: Any, n: int) -> int:
    if n < 2:
        return n
    parts = [executor.submit(fibonacci, executor, n - 1), executor.submit(fibonacci, executor, n - 2)]
    return int(sum(part.result(LONG) for part in parts))


def nested(executor: Any, depth: int) -> int:
    return 0 if depth == 0 else 1 + int(executor.submit(nested, executor, depth - 1).result(LONG))


def wait_inside(executor: Any) -> int:
    return len(raddle.wait([executor.submit(int) for _ in range(3)], LONG).done)


def as_completed_inside(executor: Any) -> int:
    return len(list(raddle.as_completed([executor.submit(int) for _ in range(3)], LONG)))


def map_inside(executor: Any) -> int:
    return len(list(executor.map(abs, range(3))))


def map_with_options_inside(executor: Any) -> int:
    return len(list(executor.options(retries=1).map(abs, range(3))))


def exception_inside(executor: Any) -> int:
    return 3 if executor.submit(int).exception(LONG) is None else 0


def submit_many(executor: Any, count: int) -> int:
    """Submit more than a bounded queue takes, and wait for all."""
    futures = [executor.submit(pow, 2, number) for number in range(count)]
    return int(sum(future.result(LONG) for future in futures))


def quotient(number: int) -> int:
    return 6 // number


def flaky_item(journals: str, number: int) -> int:
    """Fail as often as the number says, modulo three."""
    if Journal(Path(journals, str(number))).note("attempt") < number % 3:
        raise ValueError
    return number
