"""The ends of pipes and sockets: the stdlib's, with native `send` and `recv`.

What goes over the wire is the same, so either side may be the stdlib's. A `recv` stays awake for a moment before it
sleeps, as an answer often comes sooner than a sleep and a wake-up take.
"""

from __future__ import annotations

import multiprocessing.connection as _stdlib
import os
import socket
from multiprocessing import reduction
from typing import Any

from raddle import _raddle
from raddle._internal.multiprocessing import bound as bound  # before anything here is used

_Listener = _stdlib.Listener
_client = _stdlib.Client


class Connection(_stdlib.Connection):  # type: ignore[misc,type-arg,unused-ignore]
    """One end of a pipe or of a socket."""

    def send(self, obj: object) -> None:
        """Send an object, which is pickled."""
        self._check_closed()  # type: ignore[attr-defined,unused-ignore]
        self._check_writable()  # type: ignore[attr-defined,unused-ignore]
        _raddle.send_object(self._handle, obj)  # type: ignore[attr-defined,unused-ignore]

    def recv(self) -> Any:
        """Receive an object; waits for it. Raises `EOFError` when there is none and the other end is closed."""
        self._check_closed()  # type: ignore[attr-defined,unused-ignore]
        self._check_readable()  # type: ignore[attr-defined,unused-ignore]
        return _raddle.receive_object(self._handle)  # type: ignore[attr-defined,unused-ignore]

    def __reduce__(self) -> Any:
        # Else its descriptor's number would be sent, and the receiver would close what has that number there. While a
        # process is started, and over connections, multiprocessing's own pickler knows what to do.
        raise TypeError(
            "cannot pickle a connection as an argument of a task: give it to the workers through initargs"
        )


def _rebuild(fd: Any, readable: bool, writable: bool) -> Connection:
    return Connection(fd.detach(), readable, writable)


def _reduce(connection: Connection) -> Any:
    fd = reduction.DupFd(connection.fileno())  # type: ignore[attr-defined,unused-ignore]
    return _rebuild, (fd, connection.readable, connection.writable)


reduction.register(Connection, _reduce)


def _ours(connection: Any) -> Connection:
    """Return a connection of Raddle's in the place of one of the stdlib's, which it takes the descriptor of."""
    handle, connection._handle = connection._handle, None
    return Connection(handle, connection._readable, connection._writable)


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:  # noqa: N802
    """Return the two ends of a pipe: both for both directions, or the first to receive and the second to send."""
    if duplex:
        one, other = socket.socketpair()
        one.setblocking(True)
        other.setblocking(True)
        return Connection(one.detach()), Connection(other.detach())
    reader, writer = os.pipe()
    return Connection(reader, writable=False), Connection(writer, readable=False)


def Client(address: Any, family: str | None = None, authkey: bytes | None = None) -> Connection:  # noqa: N802
    """Return a connection to the address of a listener."""
    return _ours(_client(address, family, authkey))


class Listener(_Listener):
    """Waits at an address for connections."""

    def accept(self) -> Connection:  # type: ignore[override,unused-ignore]
        """Wait for a connection and return it."""
        return _ours(_Listener.accept(self))  # which the stdlib's own subclasses may come by too


for _thing in (Connection, Pipe, Client, Listener):
    # Where users find it, which is what pickles name.
    _thing.__module__ = "raddle.multiprocessing.connection"
