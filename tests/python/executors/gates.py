"""Gates that tasks wait at, in whichever process they run."""

from __future__ import annotations

import itertools
import os
import socket
import threading

from tests.python.executors.jobs import LONG, Door

_numbers = itertools.count()


class Gate:
    """Counts the tasks that have come to its door, holds them until it is opened, and sees those that are killed.

    The door is an address of this machine that has no file: a task connects, and reads one byte when the gate opens.
    """

    def __init__(self) -> None:
        address = f"\0raddle-gate-{os.getpid()}-{next(_numbers)}"
        self.door = Door(address)
        self.entries = 0
        self._held: list[socket.socket] = []
        self._opened = False
        self._changed = threading.Condition()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address)
        self._listener.listen(512)
        self._porter = threading.Thread(target=self._serve, name="porter", daemon=True)
        self._porter.start()

    def _serve(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self.entries += 1
                self._held.append(visitor)
                if self._opened:
                    self._let_in(visitor)
                self._changed.notify_all()

    def _let_in(self, visitor: socket.socket) -> None:
        try:
            visitor.send(b"o")
        except OSError:  # he has gone, or was killed
            pass

    def await_entry(self, count: int = 1) -> None:
        """Return once so many tasks have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.entries >= count, LONG), "nobody entered the gate"

    def await_leaving(self) -> None:
        """Return once the first task that came has gone, although nobody has opened."""
        self._held[0].settimeout(LONG)
        assert self._held[0].recv(1) == b""

    def open(self) -> None:
        """Let all go on, those who are still to come as well."""
        with self._changed:
            self._opened = True
            for visitor in self._held:
                self._let_in(visitor)

    def close(self) -> None:
        """Open, and end the listening."""
        self.open()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._porter.join()
        for visitor in self._held:
            visitor.close()
