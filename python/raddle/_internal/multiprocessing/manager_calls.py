"""How proxies reach a manager on the same machine: through shared memory.

The first thing that a proxy says on a connection is that it is going to call methods. With that it offers a memory, as
a descriptor that comes along. A manager of Raddle's takes the offer: from then on calls and answers go through the
memory, and the connection only tells of the other side's end. One of the stdlib's does not see the offer, and goes on
as it does; and a proxy of the stdlib's makes none. Connections to other machines are left as they are.

The server is the stdlib's. What differs is who has the methods called: `RemoteCallee.serve`, where nothing unusual is
asked.
"""

from __future__ import annotations

import multiprocessing.managers as _stdlib
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

from raddle import _raddle
from raddle._internal.multiprocessing import connections

if TYPE_CHECKING:

    class _Server:
        id_to_obj: dict[str, Any]
        id_to_local_proxy_obj: dict[str, Any]
        fallback_mapping: dict[str, Any]
        stop_event: threading.Event
        address: Any

        def accept_connection(self, c: Any, name: str) -> None: ...
        def create(self, c: Any, typeid: str, *args: Any) -> tuple[str, Any]: ...
else:
    _Server = _stdlib.Server

_WANTED = "accept_connection"
_TAKEN = "raddle: through shared memory"


class CallingConnection(connections.Connection):
    """A proxy's connection, whose `send` and `recv` are replaced once the manager has taken the offer."""

    _caller: _raddle.RemoteCaller | None = None
    _connected = False

    def send(self, obj: Any) -> None:
        """Send a request."""
        if type(obj) is tuple and len(obj) == 4 and obj[1] == _WANTED:
            self._caller = _raddle.RemoteCaller()
            self._caller.offer(self.fileno(), obj)
        else:
            super().send(obj)

    def recv(self) -> Any:
        """Receive an answer."""
        answer = super().recv()
        caller = self._caller
        if caller is not None:
            if answer == ("#RETURN", _TAKEN):
                caller.connect(self.fileno())
                self._connected = True
                vars(self).update(send=caller.send, recv=caller.recv)
            else:
                self._caller = None
        return answer

    def _close(self) -> None:
        if self._caller is not None and self._connected:
            self._caller.close()  # which the descriptor belongs to
        else:
            super()._close()  # type: ignore[misc,unused-ignore]


class ServedConnection(connections.Connection):
    """A manager's end of a connection, until it is known what it is for."""

    callee: _raddle.RemoteCallee | None = None

    def recv(self) -> Any:
        """Receive the first request, and the memory if one is offered."""
        self._check_closed()  # type: ignore[attr-defined,unused-ignore]
        request, self.callee = _raddle.receive_offer(self.fileno())
        if self.callee is None:
            self.__class__ = connections.Connection  # type: ignore[assignment]
        return request

    def detach(self) -> int:
        """Return the descriptor, which is the caller's from now on."""
        fd = self.fileno()
        self._handle = None
        return fd


def Client(address: Any, family: str | None = None, authkey: bytes | None = None) -> Any:  # noqa: N802
    """Return a proxy's connection to a manager."""
    connection = connections.Client(address, family, authkey)
    if isinstance(address, str):  # of a Unix socket
        connection.__class__ = CallingConnection
    return connection


class Listener(connections.Listener):
    """Waits for proxies."""

    def accept(self) -> connections.Connection:
        """Wait for a connection and return it."""
        connection = super().accept()
        if isinstance(self.address, str):
            connection.__class__ = ServedConnection
        return connection


class Server(_Server):
    """What a manager's process runs."""

    def accept_connection(self, c: Any, name: str) -> None:
        """Answer a proxy's calls until it is gone."""
        callee = getattr(c, "callee", None)
        if callee is None:
            super().accept_connection(c, name)
            return
        threading.current_thread().name = name
        c.send(("#RETURN", _TAKEN))
        try:
            callee.serve(
                c.detach(), self.id_to_obj, self.stop_event.is_set, self._answer, _traceback, _unserializable
            )
        except (EOFError, OSError):
            pass  # the proxy is gone
        sys.exit(0)  # as the stdlib does, so that nothing more is said on this connection

    def _answer(self, ident: str, method: str, args: Any, named: dict[str, Any]) -> tuple[str, Any]:
        """Return the message that answers a request: what the stdlib's server would."""
        obj = None
        try:
            try:
                obj, exposed, types = self.id_to_obj[ident]
            except KeyError:
                if ident not in self.id_to_local_proxy_obj:
                    raise
                obj, exposed, types = self.id_to_local_proxy_obj[ident]
            if method not in exposed:
                raise AttributeError(
                    f"method {method!r} of {type(obj)!r} object is not in exposed={exposed!r}"
                )
            function = getattr(obj, method)
            try:
                result = function(*args, **named)
            except Exception as error:
                return "#ERROR", error
            typeid = types and types.get(method)
            if not typeid:
                return "#RETURN", result
            new, new_exposed = self.create(None, typeid, result)
            return "#PROXY", (new_exposed, _stdlib.Token(typeid, self.address, new))
        except AttributeError as error:
            fallback = self.fallback_mapping.get(method)
            if fallback is None:
                return _traceback(error)
            try:
                return "#RETURN", fallback(self, None, ident, obj, *args, **named)
            except Exception as failure:
                return _traceback(failure)
        except Exception as error:
            return _traceback(error)


class SharedMemoryServer(Server, _stdlib.SharedMemoryServer):  # type: ignore[misc,name-defined,unused-ignore]
    """What the process of a `SharedMemoryManager` runs."""


def _traceback(error: BaseException) -> tuple[str, str]:
    return "#TRACEBACK", "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _unserializable(error: BaseException) -> tuple[str, str]:
    return "#UNSERIALIZABLE", _traceback(error)[1]
