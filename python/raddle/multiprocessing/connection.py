"""`multiprocessing.connection`, with native `send` and `recv`."""

from multiprocessing import connection as _stdlib
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from raddle._internal.multiprocessing.connections import Client, Connection, Listener, Pipe
from raddle._internal.replacement import replace as _replace

__all__ = ["Client", "Connection", "Listener", "Pipe", "wait"]
if not TYPE_CHECKING:
    _replace(__name__, _stdlib)
