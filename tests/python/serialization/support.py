"""A worker for these tests: a fresh interpreter that runs calls, with nothing but the serialisation between."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

from raddle._internal import serialization

_SERVE = """
import pickle, struct, sys
received, sent = sys.stdin.buffer, sys.stdout.buffer
sys.stdout = sys.stderr

def read():
    head = received.read(4)
    return pickle.loads(received.read(*struct.unpack("I", head))) if head else None

def write(obj):
    data = pickle.dumps(obj)
    sent.write(struct.pack("I", len(data)) + data)
    sent.flush()

def copies(buffers):
    return [bytes(one.raw()) if one.raw().readonly else bytearray(one.raw()) for one in buffers]

def serve():
    sys.path[:] = read()
    from contextvars import Context
    from raddle._internal import serialization
    while (message := read()) is not None:
        function, call, buffers, context = message
        taken = []
        try:
            function = serialization.load_function(function)
            args, kwargs = serialization.load_call(call, buffers)
            context = Context() if context is None else serialization.load_context(context)
            value = context.run(function, *args, **(kwargs or {}))
            reply = "value", serialization.dump_result(value, taken), copies(taken)
        except BaseException as error:
            reply = "error", serialization.dump_error(error), []
        function = args = kwargs = value = None
        write(reply)

serve()
"""


def copies(buffers: list[pickle.PickleBuffer]) -> list[bytes | bytearray]:
    """Copy buffers as an arena does: what could be written to still can be."""
    return [bytes(one.raw()) if one.raw().readonly else bytearray(one.raw()) for one in buffers]


class Worker:
    """A child interpreter."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", _SERVE]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._write(sys.path)

    def run(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function there, and return or raise what it did."""
        return self.run_in(None, function, *args, **kwargs)

    def run_in(self, context: Context | None, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Likewise, with the variables of a context."""
        taken: list[pickle.PickleBuffer] = []
        sent = serialization.dump_function(function)
        call = serialization.dump_call(args, kwargs, taken)
        self._write(
            (sent, call, copies(taken), None if context is None else serialization.dump_context(context))
        )
        kind, data, buffers = self._read()
        if kind == "error":
            raise serialization.load_error(data)
        return serialization.load_result(data, buffers)

    def _write(self, message: Any) -> None:
        assert self._process.stdin is not None
        data = pickle.dumps(message)
        self._process.stdin.write(struct.pack("I", len(data)) + data)
        self._process.stdin.flush()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        (size,) = struct.unpack("I", self._process.stdout.read(4))
        return pickle.loads(self._process.stdout.read(size))

    def close(self) -> None:
        """End it."""
        self._process.communicate()


@contextmanager
def worker() -> Iterator[Worker]:
    """Have a worker for a while."""
    made = Worker()
    try:
        yield made
    finally:
        made.close()
