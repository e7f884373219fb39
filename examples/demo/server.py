"""A local HTTP/1.1 server that answers every request late, in a process of its own.

The clients are what is measured, so the server must not be what they wait for: one asyncio loop, a protocol
without streams, connections kept alive, a timer for each answer. It reads from standard input what it may serve and
ends when that closes; so it cannot outlive its parent, however that dies. `serve` starts it; run as a script, this
file is it.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from .corpus import Source

HOST = "127.0.0.1"
_LONGEST_REQUEST = 64 * 1024
_STOP_TIMEOUT = 5.0


class Address(NamedTuple):
    """Where the server listens."""

    host: str
    port: int


def target(name: str) -> str:
    """Return the request target for the file `name`; names that are no UTF-8 survive."""
    return "/" + quote(os.fsencode(name))


@contextmanager
def serve(files: Sequence["Source"], delay: float) -> Iterator[Address]:
    """Run a server for `files`, and for nothing else on this machine, while the block lasts.

    Args:
        files: What it may serve.
        delay: Seconds between a request and its answer.

    Raises:
        OSError: the server did not come up.
    """
    # A session of its own, so that a terminal's Ctrl-C does not reach it.
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        served = {target(file.name): file.path for file in files}
        process.stdin.write(json.dumps({"delay": delay, "files": served}).encode() + b"\n")
        process.stdin.flush()
        port = process.stdout.readline()
        if not port:
            raise ConnectionError("the local HTTP server did not start")
        yield Address(HOST, int(port))
    finally:
        process.stdin.close()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


class _Connection(asyncio.Protocol):
    """One client's connection: requests are answered in their order, each after the delay."""

    def __init__(self, files: dict[str, str], delay: float) -> None:
        self._files = files
        self._delay = delay
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._timer is None:
            self._next_request()

    def _next_request(self) -> None:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            if len(self._received) > _LONGEST_REQUEST:
                self._transport.abort()
            return
        self._received = rest
        method, _, line = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        path = self._files.get(line.partition(" ")[0]) if method == "GET" else None
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._delay, self._answer, path)

    def _answer(self, path: str | None) -> None:
        self._timer = None
        status, body = "404 Not Found", b""
        if path is not None:
            try:
                with open(path, "rb") as file:
                    status, body = "200 OK", file.read()
            except OSError:
                status = "500 Internal Server Error"
        self._transport.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        if self._received:
            self._next_request()


async def _serve_until_input_closes() -> None:
    loop = asyncio.get_running_loop()
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return  # The parent is gone already.
    settings = json.loads(line)
    server = await loop.create_server(
        lambda: _Connection(settings["files"], settings["delay"]), HOST, 0, backlog=1024
    )
    closed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), closed.set)
    with suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), b"%d\n" % server.sockets[0].getsockname()[1])
    await closed.wait()


if __name__ == "__main__":
    asyncio.run(_serve_until_input_closes())
