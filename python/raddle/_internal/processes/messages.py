"""The messages between a pool and its zygote, as the zygote sees them; `crates/process/src/launch` has the other side.

They travel over a `SOCK_SEQPACKET` socket, one message per packet, and descriptors travel with them. A packet begins
with a header of 24 bytes, little-endian:

| bytes | request | report |
|---|---|---|
| 0–3 | kind | kind |
| 4–7 | 1: the body stands in a memory file, the last descriptor | threads, or the status that waitpid gave |
| 8–15 | ticket | ticket |
| 16–19 | pid | pid |
| 20–23 | how many descriptors come with it | the same |
| 24– | body | text, UTF-8 |

Requests, in the order in which they come:

- `PREPARE`, once and first. The pid is that of the process that is to be served. Body: a marshalled dictionary, see
  `environment.py`.
- `FORK`: start a worker that gets the descriptors. Body: a marshalled dictionary, the worker's order.
- `KILL`: the worker with this pid is not wanted.

Reports:

- `READY` once the preparation is over, with the number of threads and the module that has probably started them; again
  whenever that has changed.
- `FORKED` with the ticket, the pid, and a pidfd as the only descriptor, or `REFUSED` with the ticket and the reason:
  one for each `FORK`, in order.
- `ENDED` with a worker's pid and wait status, after its `FORKED`.
- `FAILED` in place of `READY`, with a traceback; the zygote ends.

The end of the socket ends the zygote and its workers.

Standard modules that take long to import are not used in this package: what it imports, the first task waits for.
"""

from __future__ import annotations

import os
from _socket import CMSG_SPACE, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SOL_SOCKET
from errno import EMSGSIZE
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

PREPARE, FORK, KILL = 1, 2, 3
READY, FORKED, REFUSED, ENDED, FAILED = 17, 18, 19, 20, 21

HEADER = Struct("<IIQII")
LARGEST = 64 * 1024
"""No packet is longer, in either direction: longer bodies stand in memory files, longer texts are cut."""
LONGEST_TEXT = 16 * 1024
MOST_FDS = 16

_IN_MEMORY = 1
_FD = Struct("=i")


class Request:
    """What the pool asks for."""

    __slots__ = ("body", "fds", "kind", "pid", "problem", "ticket")

    def __init__(self, kind: int, ticket: int, pid: int) -> None:
        self.kind = kind
        self.ticket = ticket
        self.pid = pid
        self.body = b""
        self.fds: list[int] = []
        self.problem: str | None = None
        """Why it can't be done, if it has not arrived whole."""

    def close(self) -> None:
        """Close the descriptors that came with it."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


def receive(socket: socket) -> Request | None:
    """Wait for the next request; None at the end."""
    try:
        packet, ancillary, _, _ = socket.recvmsg(LARGEST, CMSG_SPACE(MOST_FDS * _FD.size), MSG_CMSG_CLOEXEC)
    except ConnectionError:
        return None
    if not packet:
        return None
    kind, flags, ticket, pid, expected = HEADER.unpack_from(packet)
    request = Request(kind, ticket, pid)
    for level, what, data in ancillary:
        if (level, what) == (SOL_SOCKET, SCM_RIGHTS):
            whole = data[: len(data) - len(data) % _FD.size]
            request.fds += [fd for (fd,) in _FD.iter_unpack(whole)]
    if len(request.fds) < expected:
        # The system drops what there is no room for.
        request.close()
        request.problem = "too many open files: descriptors meant for the worker could not be received"
    elif flags & _IN_MEMORY:
        file = request.fds.pop()
        try:
            request.body = os.pread(file, os.fstat(file).st_size, 0)
        finally:
            os.close(file)
    else:
        request.body = packet[HEADER.size :]
    return request


def pass_on(socket: socket, request: Request) -> None:
    """Send a request to the process that is to do what it asks for. It stays this one's to close.

    Raises:
        OSError: nobody is there any more, or it is too long for a packet.
    """
    header = HEADER.pack(request.kind, 0, request.ticket, request.pid, len(request.fds))
    if len(header) + len(request.body) > LARGEST:
        raise OSError(EMSGSIZE, os.strerror(EMSGSIZE))
    ancillary = [(SOL_SOCKET, SCM_RIGHTS, b"".join(map(_FD.pack, request.fds)))]
    socket.sendmsg([header, request.body], ancillary)


def report(
    socket: socket,
    kind: int,
    *,
    number: int = 0,
    ticket: int = 0,
    pid: int = 0,
    fds: tuple[int, ...] = (),
    text: str = "",
) -> None:
    """Send a report.

    Raises:
        OSError: nobody is there any more, or too many descriptors are on their way.
    """
    header = HEADER.pack(kind, number, ticket, pid, len(fds))
    ancillary = [(SOL_SOCKET, SCM_RIGHTS, b"".join(map(_FD.pack, fds)))] if fds else []
    socket.sendmsg([header, _shortened(text)], ancillary)


def _shortened(text: str) -> bytes:
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) <= LONGEST_TEXT:
        return encoded
    # Of a traceback, both the beginning and the end tell something.
    half = LONGEST_TEXT // 2
    return encoded[:half] + b"\n  [...]\n" + encoded[-half:]
