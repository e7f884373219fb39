"""Managers: the stdlib's, over Raddle's connections.

Proxies and registration are the stdlib's own, so proxies are of its classes, and either side may be the stdlib's.
What a manager's calls cost is mostly the way there and back, and that is Raddle's: see `manager_calls`.
"""

from __future__ import annotations

import ipaddress
import multiprocessing.managers as _stdlib
from multiprocessing import process, resource_tracker
from multiprocessing.managers import BaseManager as _StdlibBase
from typing import Any

from raddle._internal.multiprocessing.contexts import DEFAULT
from raddle._internal.multiprocessing.manager_calls import Client, Listener, Server, SharedMemoryServer
from raddle._internal.multiprocessing.pools import Pool


class Serializer(str):
    """The name under which the stdlib's managers find Raddle's connections.

    Where it is unpickled, with a proxy, they are made known by that.
    """

    __slots__ = ()

    def __reduce__(self) -> Any:
        return Serializer, (str(self),)


RADDLE = Serializer("raddle")
_stdlib.listener_client[RADDLE] = (Listener, Client)  # type: ignore[attr-defined,unused-ignore]


def _is_remote(address: Any) -> bool:
    if not isinstance(address, tuple) or not address:
        return False
    host = address[0]
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return bool(host != "localhost")


class _Ours:
    """What is different from the stdlib's managers."""

    def __init__(
        self,
        address: Any = None,
        authkey: bytes | None = None,
        serializer: str = "pickle",
        ctx: Any = None,
        **more: Any,
    ) -> None:
        if authkey is None and _is_remote(address):
            raise ValueError(
                f"a manager at {address!r} can be reached from other machines, which don't know this program's "
                "own key; give it an authkey=, the same on both sides"
            )
        if authkey is None:
            authkey = process.current_process().authkey
        if serializer == "pickle":
            serializer = RADDLE
        ctx = ctx or DEFAULT.get_context()
        _StdlibBase.__init__(self, address, authkey, serializer, ctx, **more)  # type: ignore[arg-type,unused-ignore]

    def get_server(self) -> Any:
        """Return a server, to be run in this process."""
        server = super().get_server()  # type: ignore[misc]
        if type(server) is _stdlib.Server:
            server.__class__ = Server  # type: ignore[assignment]  # the stdlib's method names its own
        return server


class BaseManager(_Ours, _stdlib.BaseManager):
    """Starts a process that holds objects, or connects to one, and makes proxies for them."""

    _Server: Any = Server


class SyncManager(BaseManager, _stdlib.SyncManager):
    """A manager of lists, dictionaries, locks, queues and pools."""


SyncManager.register("Pool", Pool, _stdlib.PoolProxy)  # type: ignore[attr-defined,unused-ignore]


class SharedMemoryManager(BaseManager, _stdlib.SharedMemoryManager):
    """A manager of blocks of shared memory, which are removed when it ends."""

    _Server = SharedMemoryServer

    def __init__(self, *args: Any, **named: Any) -> None:
        resource_tracker.ensure_running()  # or this process and the manager's would each start one
        super().__init__(*args, **named)


for _class in (BaseManager, SyncManager, SharedMemoryManager):
    # Where users find it, which is what pickles name.
    _class.__module__ = "raddle.multiprocessing.managers"
