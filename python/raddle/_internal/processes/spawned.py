"""A worker of `start="spawn"`: an interpreter of its own, instead of a fork of the zygote."""

from __future__ import annotations

import os

from raddle import _raddle
from raddle._internal.processes import surroundings, worker_main, zygote
from raddle._internal.processes.messages import FORK, receive

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any, NoReturn


def main(socket: _socket.socket, preparation: dict[str, Any]) -> NoReturn:
    """Prepare, and be the worker that the next message describes. Returns in no case."""
    parent: int = preparation["parent"]
    if not _raddle.die_with_parent(parent, group=True):
        os._exit(0)
    zygote.settle_in(socket)
    request = receive(socket)
    socket.close()
    if request is None or request.kind != FORK or request.problem is not None:
        os._exit(1)
    surroundings.take(preparation)
    for module in preparation["preload"]:
        __import__(module)
    worker_main.name_process("raddle-worker")
    worker_main.main(request.body, request.fds, preparation)
