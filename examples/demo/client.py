"""How to ask the local server: a blocking client for threads, and one for asyncio. Standard library only."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException

from .corpus import Source
from .interrupt import interrupt_calls, interrupted
from .server import Address, target

TIMEOUT = 30.0
"""Seconds that a client waits for the server before it gives up."""


class Client:
    """A blocking client that threads share: connections are kept alive and lent to one request at a time."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: deque[HTTPConnection] = deque()
        self._closed = False

    def get(self, file: Source) -> bytes:
        """Fetch one file.

        Raises:
            OSError: the server can't be reached, or has no such file.
            http.client.HTTPException: the answer is no HTTP.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = HTTPConnection(*self._address, timeout=TIMEOUT)
        try:
            connection.request("GET", target(file.name))
            response = connection.getresponse()
            body = response.read()
            _expect_ok(file, response.status)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        if self._closed:
            # Raddle's Ctrl-C does not wait for requests under way: this one came back after the end.
            self.close()
        return body

    def close(self) -> None:
        """Close the idle connections now, and those in use as soon as they come back."""
        self._closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


@contextmanager
def connect(address: Address) -> Iterator[Client]:
    """Lend a `Client` for the length of a block."""
    client = Client(address)
    try:
        yield client
    finally:
        client.close()


def fetch_with_asyncio(
    address: Address, files: Sequence[Source], connections: int, received: Callable[[Source, bytes], None]
) -> None:
    """Fetch `files` over so many `connections` from one thread; `received` is called with each.

    Raises:
        KeyboardInterrupt: Ctrl-C; the connections are closed.
        OSError: the server can't be reached, or lacks a file.
        http.client.HTTPException: the answer is no HTTP.
    """
    fetching: list[asyncio.Task[None]] = []

    def cancel() -> None:
        for task in fetching:
            task.get_loop().call_soon_threadsafe(task.cancel)

    # An exception thrown into whatever the loop is doing would leave it half done.
    with interrupt_calls(cancel), suppress(asyncio.CancelledError):
        asyncio.run(_fetch_all(address, files, connections, received, fetching))


async def _fetch_all(
    address: Address,
    files: Sequence[Source],
    connections: int,
    received: Callable[[Source, bytes], None],
    fetching: list[asyncio.Task[None]],
) -> None:
    """Fetch with as many tasks as connections, which stand in `fetching` for who wants to cancel them."""
    queue = iter(files)
    fetching += [
        asyncio.create_task(_fetch_from(address, queue, received))
        for _ in range(min(connections, len(files)))
    ]
    try:
        if not interrupted():
            await asyncio.gather(*fetching)
    finally:
        for task in fetching:
            task.cancel()
        await asyncio.gather(*fetching, return_exceptions=True)


async def _fetch_from(
    address: Address, queue: Iterable[Source], received: Callable[[Source, bytes], None]
) -> None:
    """Fetch over one connection until the queue, which all connections share, is empty."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        for file in queue:
            writer.write(f"GET {target(file.name)} HTTP/1.1\r\nHost: {address.host}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, length = _parse_head(head)
            body = await reader.readexactly(length)
            _expect_ok(file, status)
            received(file, body)
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("the server closed the connection") from error
    finally:
        writer.close()


def _parse_head(head: str) -> tuple[int, int]:
    """Return the status and the length of the body of an answer."""
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    try:
        return int(first.split(" ", 2)[1]), int(headers["content-length"])
    except (IndexError, KeyError, ValueError) as error:
        raise HTTPException(f"not an HTTP answer: {first!r}") from error


def _expect_ok(file: Source, status: int) -> None:
    if status != 200:
        raise ConnectionError(f"{file.name}: the server answered {status}")
