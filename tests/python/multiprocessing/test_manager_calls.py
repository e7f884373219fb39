"""How proxies call the objects of a manager through shared memory, and what becomes of calls that are cut short."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.managers
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raddle import multiprocessing as mp
from raddle.multiprocessing import managers

THINGS: list[Any] = [None, True, -1, 2**70, 1.5, "text", "\udc80", b"bytes", (1, [2]), {"a": {3}}, int]
LARGE = b"x" * 5_000_000


class Desk:
    """What the tests have a manager keep."""

    def __init__(self) -> None:
        self.bell = threading.Event()

    def echo(self, *args: Any, **named: Any) -> Any:
        return args, named

    def same(self, thing: Any) -> Any:
        return thing

    def fail(self) -> None:
        raise LookupError("nothing here")

    def leave(self) -> None:
        raise SystemExit(3)

    def lock(self) -> Any:
        return threading.Lock()

    def wait(self) -> str:
        self.bell.wait()
        return "rung"

    def ring(self) -> None:
        self.bell.set()

    def items(self) -> list[int]:
        return [1, 2]

    def pid(self) -> int:
        return os.getpid()

    def sockets(self) -> int:
        links = (os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd))
        return sum(link.startswith("socket:") for link in links)


def _is_open(fd: str) -> bool:
    return Path(f"/proc/self/fd/{fd}").is_symlink()


class Manager(managers.BaseManager):
    Desk: Any


Manager.register("List", list, proxytype=multiprocessing.managers.ListProxy, create_method=False)
Manager.register("Desk", Desk, method_to_typeid={"items": "List"})


@pytest.fixture
def desk() -> Iterator[Any]:
    with Manager(ctx=mp.get_context("fork")) as manager:
        yield manager.Desk()


def is_direct(proxy: Any) -> bool:
    """Tell whether this thread's calls go through shared memory."""
    return bool(getattr(proxy._tls.connection, "_connected", False))


@pytest.mark.parametrize("thing", THINGS)
def test_arguments_and_results_are_what_they_were(desk: Any, thing: Any) -> None:
    assert desk.same(thing) == thing
    assert desk.echo(thing, 1, key=thing) == ((thing, 1), {"key": thing})
    assert is_direct(desk)


@pytest.mark.parametrize("length", [32_000, 32_720, 32_800, 5_000_000])
def test_what_is_too_long_for_the_memory_arrives_too(desk: Any, length: int) -> None:
    for thing in (b"x" * length, ["y" * length]):
        assert desk.same(thing) == thing
        assert desk.same(1) == 1


def test_errors_are_told_as_by_the_stdlib(desk: Any) -> None:
    with pytest.raises(LookupError, match="nothing here"):
        desk.fail()
    with pytest.raises(multiprocessing.managers.RemoteError, match="Unserializable message"):
        desk.lock()
    with pytest.raises(multiprocessing.managers.RemoteError, match="not in exposed"):
        desk._callmethod("bell")
    with pytest.raises(multiprocessing.managers.RemoteError, match="KeyError"):
        type(desk)._callmethod(_With(desk, "no such number"), "ring")
    assert desk.same(1) == 1
    assert "Desk object" in str(desk)


class _With:
    """A proxy of an object that there is not."""

    def __init__(self, proxy: Any, number: str) -> None:
        self._tls, self._id = proxy._tls, number


def test_a_method_may_leave_its_result_with_the_manager(desk: Any) -> None:
    items = desk.items()
    assert isinstance(items, multiprocessing.managers.ListProxy)
    items.append(3)
    assert list(items) == [1, 2, 3]


def test_a_method_that_ends_its_thread_ends_the_call(desk: Any) -> None:
    with pytest.raises((EOFError, ConnectionError)):
        desk.leave()
    other = threading.Thread(target=desk.ring)
    other.start()
    other.join()


def test_threads_call_at_the_same_time(desk: Any) -> None:
    done: list[int] = []

    def call(number: int) -> None:
        for turn in range(200):
            assert desk.same((number, turn)) == (number, turn)
        done.append(number)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    waiting = threading.Thread(target=lambda: done.append(desk.wait()))
    for thread in [*threads, waiting]:
        thread.start()
    for thread in threads:
        thread.join()
    desk.ring()
    waiting.join()
    assert set(done) == {*range(8), "rung"}


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(desk: Any) -> None:
    assert desk.same(0) == 0
    main, stop = threading.get_ident(), threading.Event()

    def interrupt() -> None:
        while not stop.wait(0.05):
            signal.pthread_kill(main, signal.SIGINT)

    timer = threading.Thread(target=interrupt)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            desk.wait()
    finally:
        stop.set()
        timer.join()
    other = threading.Thread(target=desk.ring)
    other.start()
    other.join()
    assert [desk.same(number) for number in range(3)] == [0, 1, 2]


def test_a_signal_does_not_tear_a_large_message(desk: Any) -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: caught.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for _ in range(20):
            assert desk.same(LARGE) == LARGE
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught


def test_a_manager_that_is_killed_ends_the_calls_that_wait(desk: Any) -> None:
    pid = desk.pid()
    timer = threading.Timer(0.1, os.kill, (pid, signal.SIGKILL))
    timer.start()
    with pytest.raises((EOFError, ConnectionError)):
        desk.wait()
    timer.join()
    with pytest.raises((EOFError, OSError)):
        desk.same(1)


def _call_for_ever(desk: Any, called: Any) -> None:
    while True:
        desk.same(b"x" * 1000)
        called.set()


def test_a_caller_that_is_killed_leaves_nothing_behind(desk: Any) -> None:
    before = desk.sockets()
    context = mp.get_context("fork")
    for _ in range(5):
        called = context.Event()
        process = context.Process(target=_call_for_ever, args=(desk, called))
        process.start()
        called.wait()
        process.kill()
        process.join()
    end = time.monotonic() + 60
    while desk.sockets() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert desk.sockets() == before
    assert desk.same(1) == 1


def _in_child(desk: Any, answers: Any) -> None:
    answers.put((desk.same("child"), is_direct(desk)))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_proxy_works_in_another_process(method: str) -> None:
    context = mp.get_context(method)
    with Manager(ctx=context) as manager:
        desk = manager.Desk()
        assert desk.same("parent") == "parent"
        answers = context.Queue()
        process = context.Process(target=_in_child, args=(desk, answers))
        process.start()
        assert answers.get() == ("child", True)
        process.join()
        assert desk.same("parent") == "parent"


def test_a_server_of_the_stdlib_is_called_over_its_socket(tmp_path: Path) -> None:
    address = str(tmp_path / "socket")
    context = multiprocessing.get_context("fork")
    with multiprocessing.managers.SyncManager(address, b"key", ctx=context) as manager:
        shared = manager.dict(a=1)
        ours = managers.SyncManager(address, b"key")
        ours.connect()
        token = multiprocessing.managers.Token("dict", address, shared._id)
        proxy: Any = multiprocessing.managers.DictProxy(token, ours._serializer, manager=ours, authkey=b"key")  # type: ignore[attr-defined,unused-ignore]
        assert proxy.copy() == {"a": 1}
        assert not is_direct(proxy)


def test_a_connection_over_the_network_stays_one() -> None:
    with Manager(("127.0.0.1", 0), b"key", ctx=mp.get_context("fork")) as manager:
        desk = manager.Desk()
        assert desk.same(LARGE) == LARGE
        assert not is_direct(desk)


def test_a_server_can_be_run_by_hand(tmp_path: Path) -> None:
    address = str(tmp_path / "socket")
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            Manager(address, b"key").get_server().serve_forever()
        os._exit(0)
    try:
        manager = Manager(address, b"key")
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                manager.connect()
                break
            time.sleep(0.01)
        desk = manager.Desk()
        assert desk.pid() == pid
        assert is_direct(desk)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
