"""Pipes, listeners and managers."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import multiprocessing.managers
import os
import pickle
import signal
import threading
from typing import Any

import pytest

from raddle import multiprocessing as mp
from raddle.multiprocessing import connection, managers

METHODS = ["fork", "spawn", "forkserver"]
THINGS: list[Any] = [None, 1, "text", b"x" * 5_000_000, {"a": [1.5]}, int]


def echo(end: Any) -> None:
    for thing in iter(end.recv, "end"):
        end.send(thing)
    end.close()


@pytest.mark.parametrize("method", METHODS)
def test_a_pipe_carries_everything(method: str) -> None:
    context = mp.get_context(method)
    ours, theirs = context.Pipe()
    assert isinstance(ours, multiprocessing.connection.Connection)
    process = context.Process(target=echo, args=(theirs,))
    process.start()
    theirs.close()
    for thing in THINGS:
        ours.send(thing)
        assert ours.recv() == thing
    ours.send("end")
    process.join()
    with pytest.raises(EOFError):
        ours.recv()
    ours.close()
    assert process.exitcode == 0


def test_the_stdlib_understands_what_is_sent() -> None:
    ours, theirs = mp.Pipe()
    stdlibs: Any = multiprocessing.connection.Connection(os.dup(theirs.fileno()))
    for thing in (1, {"a": (1, 2)}, threading.Thread):
        ours.send(thing)
        assert stdlibs.recv() == thing
        stdlibs.send(thing)
        assert ours.recv() == thing
    ours.send_bytes(b"bytes")
    assert stdlibs.recv_bytes() == b"bytes"
    for end in (ours, theirs, stdlibs):
        end.close()


def test_the_ends_of_a_pipe_refuse_what_is_not_theirs() -> None:
    reader, writer = mp.Pipe(duplex=False)
    with pytest.raises(OSError, match="read-only"):
        reader.send(1)
    with pytest.raises(OSError, match="write-only"):
        writer.recv()
    writer.send(1)
    assert reader.poll()
    assert reader.recv() == 1
    os.write(writer.fileno(), b"\0\0\0\5ab")
    writer.close()
    with pytest.raises(OSError, match="end of file during message"):
        reader.recv()
    with pytest.raises(EOFError):
        reader.recv()
    reader.close()
    with pytest.raises(OSError, match="handle is closed"):
        reader.recv()


def test_a_length_that_is_nonsense_takes_no_memory() -> None:
    reader, writer = mp.Pipe(duplex=False)
    os.write(writer.fileno(), b"\xff\xff\xff\xff" + b"\x7f" * 8 + b"few")
    writer.close()
    with pytest.raises(OSError, match="end of file during message"):
        reader.recv()
    reader.close()


def test_ctrl_c_ends_a_wait_for_a_message() -> None:
    reader, writer = mp.Pipe(duplex=False)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        reader.recv()
    timer.join()
    reader.close()
    writer.close()


def test_a_listener_and_a_client_meet() -> None:
    with connection.Listener(authkey=b"key") as listener:
        answers: list[object] = []

        def serve() -> None:
            with listener.accept() as end:
                end.send(end.recv() + 1)

        thread = threading.Thread(target=serve)
        thread.start()
        with connection.Client(listener.address, authkey=b"key") as client:
            assert type(client) is connection.Connection
            client.send(41)
            answers.append(client.recv())
        thread.join()
    assert answers == [42]


def use(shared: dict[str, int], numbers: list[int], lock: Any, namespace: Any) -> None:
    with lock:
        shared["child"] = shared["parent"] + 1
    numbers.append(3)
    namespace.word = "set"


@pytest.mark.parametrize("method", METHODS)
def test_managed_objects_are_shared(method: str) -> None:
    context = mp.get_context(method)
    with context.Manager() as manager:
        assert isinstance(manager, managers.SyncManager)
        assert isinstance(manager, multiprocessing.managers.SyncManager)
        shared, numbers = manager.dict({"parent": 1}), manager.list([1, 2])
        assert isinstance(shared, multiprocessing.managers.DictProxy)
        namespace, lock = manager.Namespace(), manager.Lock()
        process = context.Process(target=use, args=(shared, numbers, lock, namespace))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert shared.copy() == {"parent": 1, "child": 2}
        assert list(numbers) == [1, 2, 3]
        assert namespace.word == "set"
        with pytest.raises(KeyError):
            shared["nothing"]


class Counter:
    def __init__(self, start: int) -> None:
        self.count = start

    def increment(self) -> int:
        self.count += 1
        return self.count


class Own(managers.BaseManager):
    Counter: Any


Own.register("Counter", Counter)


def test_classes_can_be_registered() -> None:
    with Own() as manager:
        counter = manager.Counter(41)
        assert counter.increment() == 42


def test_proxies_reach_a_process_that_has_only_the_stdlib() -> None:
    with mp.get_context("fork").Manager() as manager:
        shared = manager.dict()
        authkey = bytes(mp.current_process().authkey)
        client = multiprocessing.managers.SyncManager(manager.address, authkey)
        client.connect()
        token = pickle.loads(pickle.dumps(shared._token))
        again: Any = multiprocessing.managers.DictProxy(token, "pickle", manager=client, authkey=authkey)
        again["from"] = "the stdlib"
        assert shared.copy() == {"from": "the stdlib"}


@pytest.mark.parametrize("host", ["", "0.0.0.0", "example.org", "192.0.2.1"])
def test_a_remote_manager_demands_a_key(host: str) -> None:
    with pytest.raises(ValueError, match="give it an authkey="):
        managers.BaseManager(address=(host, 0))
    managers.BaseManager(address=(host, 0), authkey=b"key")
    managers.BaseManager(address=("127.0.0.1", 0))
