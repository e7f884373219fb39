"""What the tests of `raddle.threading` share: threads whose outcome counts, signals in the middle of a wait."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from tests.python.futures.support import LONG, until_asleep

T = TypeVar("T")


class Running(Generic[T]):
    """A function that runs in a thread of its own."""

    def __init__(self, function: Callable[..., T], *args: object) -> None:
        self._function, self._args = function, args
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._result.append(self._function(*self._args))
        except BaseException as error:
            self._error = error

    def until_asleep(self) -> Running[T]:
        """Return once it waits for something."""
        until_asleep(self.thread)
        return self

    def result(self) -> T:
        """Wait for its end, and return or raise what it returned or raised."""
        self.thread.join(LONG)
        assert not self.thread.is_alive(), "it does not end"
        if self._error is not None:
            raise self._error
        return self._result[0]


@contextmanager
def handling(number: int, handler: Callable[..., object]) -> Iterator[None]:
    """Have `handler` handle a signal in the block."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def signal_in_the_wait(number: int = signal.SIGINT, *, then: Callable[[], object] = bool) -> Iterator[None]:
    """Send the process a signal once the main thread waits in the block; call `then` once it waits again."""

    def send() -> None:
        until_asleep(threading.main_thread())
        os.kill(os.getpid(), number)
        if then is not bool:
            until_asleep(threading.main_thread())
            then()

    before = signal.getsignal(number)
    if number == signal.SIGINT:
        signal.signal(number, signal.default_int_handler)
    sender = Running(send)
    try:
        yield
    finally:
        sender.result()
        signal.signal(number, before)
