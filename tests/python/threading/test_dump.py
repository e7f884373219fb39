"""`dump` tells who holds what and who waits for what; a signal can ask for it."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
import sys
import threading as stdlib
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from raddle import threading
from tests.python.futures.support import LONG, Gate, run_program, until_asleep


def dumped() -> dict[str, str]:
    """Return what is told of each thread, by its name."""
    file = io.StringIO()
    threading.dump(file)
    paragraphs = file.getvalue().rstrip("\n").split("\n\n")
    return {paragraph.split("'")[1]: paragraph for paragraph in paragraphs}


def test_every_thread_is_told_of() -> None:
    gate = Gate()
    held, wanted = threading.RLock(), threading.Lock()

    def hold_and_wait() -> None:
        with held, wanted:
            pass

    with wanted:
        idle = threading.Thread(target=gate, name="idle")
        waiting = threading.Thread(target=hold_and_wait, name="waiting")
        patient = threading.Thread(target=wanted.acquire, kwargs={"timeout": LONG}, name="patient")
        joining = threading.Thread(target=idle.join, name="joining")
        threads = [idle, waiting, patient, joining]
        for thread in threads:
            thread.start()
        for thread in threads:
            until_asleep(thread)
        told = dumped()
        assert "(which prints this)" in told["MainThread"]
        assert f"  holds {wanted!r}" in told["MainThread"]
        assert "  wants" not in told["MainThread"]
        assert f"  wants {wanted!r}" in told["waiting"]
        assert "in hold_and_wait" in told["waiting"]
        assert f"  holds {held!r}" in told["waiting"]
        assert f"  wants {wanted!r}, for a time" in told["patient"]
        assert f"  wants the end of {idle!r}" in told["joining"]
        assert "_bootstrap" not in told["joining"]
        assert "  wants" not in told["idle"]
        gate.open()
    patient.join()
    wanted.release()
    for thread in threads:
        thread.join()


def test_where_locks_were_acquired_is_told_on_demand() -> None:
    lock = threading.Lock()
    assert threading.track(True) is False
    try:
        with lock:
            assert f"acquired at {__file__}:" in dumped()["MainThread"]
    finally:
        assert threading.track(False) is True
    with lock:
        assert f"acquired at {__file__}" not in dumped()["MainThread"]


def test_what_was_acquired_while_nobody_took_notes_is_not_told() -> None:
    lock = threading.Lock()
    threading.track(True)
    try:
        lock.acquire()
        threading.track(False)
        lock.release()
        lock.acquire()
        threading.track(True)
        assert lock._acquired_at() is None
        assert f"acquired at {__file__}" not in dumped()["MainThread"]
    finally:
        threading.track(False)


def test_a_reentrant_lock_tells_where_it_was_acquired_first() -> None:
    def line(lock: threading.RLock) -> int | None:
        place = lock._acquired_at()
        return None if place is None else place[1] - first

    lock = threading.RLock()
    first = sys._getframe().f_lineno
    with lock:
        threading.track(True)
        try:
            with lock:
                assert line(lock) is None
        finally:
            threading.track(False)
    threading.track(True)
    try:
        with lock:
            with lock:
                assert line(lock) == 10
            assert line(lock) == 10
        assert line(lock) is None
    finally:
        threading.track(False)


def test_a_frozen_lock_is_told_of_while_somebody_waits_for_it() -> None:
    lock = threading.RLock()
    gc.collect()
    gc.freeze()
    try:
        with lock:
            thread = threading.Thread(target=lock.acquire)
            thread.start()
            until_asleep(thread)
            assert f"  holds {lock!r}" in dumped()["MainThread"]
    finally:
        gc.unfreeze()
    thread.join()


@pytest.mark.parametrize("how", ["dump", "report"])
def test_no_frame_outlives_a_report(how: str) -> None:
    class Local:
        pass

    def stay() -> None:
        local = Local()
        references.append(weakref.ref(local))
        gate()

    gate, references = Gate(), list[weakref.ref[Local]]()
    thread = threading.Thread(target=stay)
    thread.start()
    gate.await_entry()
    gc.collect()
    gc.disable()
    try:
        if how == "dump":
            dumped()
        else:
            lock = threading.Lock()
            lock.acquire()
            before = threading.deadlock_policy("raise")
            with suppress(threading.DeadlockError):
                lock.acquire()
            threading.deadlock_policy(before)
        gate.open()
        thread.join()
        del thread
        assert references[0]() is None
    finally:
        gc.enable()


def test_objects_that_are_hard_to_look_at_do_no_harm() -> None:
    class Referent:
        pass

    class Liar:
        @property
        def __class__(self) -> type:  # type: ignore[override]
            raise ValueError("on purpose")

    class Meta(type):
        def __subclasscheck__(cls, other: type) -> bool:
            raise ValueError("on purpose")

        def __hash__(cls) -> int:
            raise ValueError("on purpose")

        def __eq__(cls, other: object) -> bool:
            raise ValueError("on purpose")

    class Odd(metaclass=Meta):
        pass

    referent = Referent()
    kept = [weakref.proxy(referent), Liar(), Odd(), [Odd]]
    del referent
    gc.collect()
    assert "MainThread" in dumped()
    assert kept


def test_sys_stderr_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    threading.dump()
    assert "Thread 'MainThread' (which prints this):" in capsys.readouterr().err


def test_a_signal_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    threading.register(signal.SIGUSR1)
    try:
        signal.raise_signal(signal.SIGUSR1)
        assert "MainThread" in capsys.readouterr().err
    finally:
        assert threading.unregister(signal.SIGUSR1)
    assert not threading.unregister(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_what_fails_in_a_registered_dump_is_not_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with open(tmp_path / "dumps", "w") as file:
        threading.register(signal.SIGUSR1, file)
    try:
        signal.raise_signal(signal.SIGUSR1)
    finally:
        threading.unregister(signal.SIGUSR1)
    assert [failure.exc_type for failure in told] == [ValueError]


def test_a_registered_dump_may_come_in_the_midst_of_a_write(tmp_path: Path) -> None:
    class Interrupted(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def fileno(self) -> int:
            return descriptor

        def write(self, data: Any) -> int:
            signal.raise_signal(signal.SIGUSR1)
            return os.write(descriptor, data)

    path = tmp_path / "dumps"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    file = io.TextIOWrapper(io.BufferedWriter(Interrupted()), encoding="utf-8")  # type: ignore[arg-type]
    threading.register(signal.SIGUSR1, file)
    try:
        file.write("mine\n")
        file.flush()
    finally:
        threading.unregister(signal.SIGUSR1)
        file.detach()
        os.close(descriptor)
    text = path.read_text()
    assert "Thread 'MainThread' (which prints this)" in text
    assert text.endswith("mine\n")


def test_registering_again_learns_of_a_handler_that_came_since() -> None:
    called: list[str] = []
    start = signal.signal(signal.SIGUSR1, lambda *_: called.append("first"))
    second = lambda *_: called.append("second")  # noqa: E731
    try:
        threading.register(signal.SIGUSR1, io.StringIO(), chain=True)
        signal.signal(signal.SIGUSR1, second)
        threading.register(signal.SIGUSR1, io.StringIO(), chain=True)
        signal.raise_signal(signal.SIGUSR1)
        assert called == ["second"]
        assert threading.unregister(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is second
    finally:
        signal.signal(signal.SIGUSR1, start)


@pytest.mark.parametrize("chain", [False, True])
def test_the_handler_that_was_there_before(chain: bool) -> None:
    called: list[int] = []

    def handler(number: int, _frame: object) -> None:
        called.append(number)

    file = io.StringIO()
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        threading.register(signal.SIGUSR1, file)
        threading.register(signal.SIGUSR1, file, chain)
        signal.raise_signal(signal.SIGUSR1)
        assert file.getvalue().count("MainThread") == 1
        assert called == ([signal.SIGUSR1] if chain else [])
        assert threading.unregister(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is handler
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_only_the_main_thread_registers() -> None:
    errors: list[Exception] = []

    def register() -> None:
        try:
            threading.register(signal.SIGUSR1)
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=register)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert not threading.unregister(signal.SIGUSR1)


def test_a_main_thread_that_waits_is_told_of_too() -> None:
    ended = run_program("""
        import os, signal, sys
        from raddle import threading
        lock = threading.Lock()
        lock.acquire()
        threading.deadlock_policy("off")
        threading.register(signal.SIGUSR1, sys.stdout)

        def end(number, frame):
            os._exit(0)

        signal.signal(signal.SIGALRM, end)

        def ask():
            os.kill(os.getpid(), signal.SIGUSR1)
            signal.setitimer(signal.ITIMER_REAL, 0.5)

        threading.Timer(0.2, ask).start()
        lock.acquire()
    """)
    assert (ended.code, ended.err) == (0, "")
    (told,) = [part for part in ended.out.split("\n\n") if "'MainThread'" in part]
    assert "  holds <locked raddle.threading.Lock" in told
    assert "  wants <locked raddle.threading.Lock" in told


def test_stdlib_threads_and_unknown_ones_are_told_of() -> None:
    gate = Gate()
    thread = stdlib.Thread(target=gate, name="stdlib's own")
    thread.start()
    gate.await_entry()
    file = io.StringIO()
    threading.dump(file)
    assert "stdlib's own" in file.getvalue()
    gate.open()
    thread.join()


def test_tasks_that_wait_and_hold_are_told_of() -> None:
    async def hold(lock: threading.RLock, ready: asyncio.Event, end: asyncio.Event) -> None:
        async with lock:
            ready.set()
            await end.wait()

    async def wait(lock: threading.RLock) -> None:
        async with lock:
            pass

    async def main() -> dict[str, str]:
        lock, ready, end = threading.RLock(), asyncio.Event(), asyncio.Event()
        holding = asyncio.create_task(hold(lock, ready, end), name="holder")
        await ready.wait()
        waiting = asyncio.create_task(wait(lock), name="waiter")
        await asyncio.sleep(0)
        told = dumped()
        # Other tests may have left locks of theirs locked.
        assert f"{id(lock):#x}" not in told["MainThread"]
        end.set()
        await asyncio.gather(holding, waiting)
        return told

    told = asyncio.run(main())
    waiter, holder = told["waiter in MainThread"], told["holder in MainThread"]
    assert waiter.startswith("Task 'waiter in MainThread'")
    assert "in wait" in waiter
    assert "  wants <locked raddle.threading.RLock" in waiter
    assert "in hold" in holder
    assert "  holds <locked raddle.threading.RLock" in holder
    assert "  wants" not in holder
