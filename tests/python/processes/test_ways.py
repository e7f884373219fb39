"""How workers are started: each way runs tasks, and leaves nothing of the parent's in them that should not be there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

import pytest

from raddle import WorkerDied
from raddle.futures import ProcessPoolExecutor
from tests.python.processes import programs
from tests.python.processes.support import is_alive, until

WAYS = ["zygote", "spawn", "fork"]
MARK = "set by the parent"
inherited: list[str] = []


def describe() -> tuple[int, int, bool, str]:
    return (
        os.getpid(),
        os.getpgid(0),
        threading.current_thread() is threading.main_thread(),
        "".join(inherited),
    )


@pytest.mark.parametrize("start", WAYS)
def test_each_way_runs_tasks(start: str) -> None:
    with ProcessPoolExecutor(2, start=start) as pool:
        assert [future.result() for future in [pool.submit(abs, -n) for n in range(200)]] == list(range(200))
        pid, group, on_main_thread, _ = pool.submit(describe).result()
        assert (pid, on_main_thread) == (group, True)
        died = pool.submit(os._exit, 3).exception()
        assert isinstance(died, WorkerDied)
        assert died.exit_code == 3
        assert pool.submit(abs, -1).result() == 1


@pytest.mark.parametrize(("method", "inherits"), [("fork", True), ("spawn", False), ("forkserver", False)])
def test_the_context_of_multiprocessing_chooses(
    method: str, inherits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "inherited", [MARK])
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        assert pool.submit(describe).result()[3] == (MARK if inherits else "")


def test_start_goes_before_the_context() -> None:
    inherited.append(MARK)
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), start="fork") as pool:
            assert pool.submit(describe).result()[3] == MARK
    finally:
        inherited.clear()


DESCRIPTORS = """
start = {start!r}

def links():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{{name}}"))
        except OSError:
            pass
    return found

with ProcessPoolExecutor(3, start=start) as other, ProcessPoolExecutor(2, start=start) as pool:
    for future in [executor.submit(abs, 1) for executor in (other, pool) for _ in range(8)]:
        future.result()
    # The one that comes for a worker that dies has nothing of that one either.
    pool.submit(os._exit, 1).exception()
    for future in [pool.submit(links) for _ in range(8)]:
        found = future.result()
        assert sum("memfd:raddle-channel" in link for link in found) <= 1, found
        assert sum("memfd:raddle-bell" in link for link in found) <= 1, found
        assert not [link for link in found if "pidfd" in link or "eventpoll" in link], found
"""


@pytest.mark.parametrize("start", WAYS)
def test_a_worker_has_only_its_own_of_raddles_descriptors(start: str, tmp_path: Path) -> None:
    # In a program of its own: a fork of this one inherits what other tests have left open.
    assert programs.run([programs.script(tmp_path, DESCRIPTORS.format(start=start))], cwd=tmp_path) == []


def signals() -> tuple[bool, bool, set[int]]:
    return (
        os.kill(os.getpid(), signal.SIGINT) is None,
        signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    )


def test_a_forked_worker_does_not_keep_the_parents_signal_handlers() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with ProcessPoolExecutor(1, start="fork") as pool:
            assert pool.submit(signals).result() == (True, True, set())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_forked_worker_reads_nothing_of_the_parents_input() -> None:
    with ProcessPoolExecutor(1, start="fork") as pool:
        assert pool.submit(os.read, 0, 1).result() == b""


def test_a_zygote_with_threads_gives_way_to_spawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "starts_a_thread.py").write_text(
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with ProcessPoolExecutor(2, preload=["starts_a_thread"]) as pool:
            assert [future.result() for future in [pool.submit(abs, -n) for n in range(20)]] == list(
                range(20)
            )
            assert pool.submit(os._exit, 1).exception() is not None
            assert pool.submit(loaded).result()
    (warning,) = caught
    assert issubclass(warning.category, RuntimeWarning)
    assert "importing starts_a_thread has started them" in str(warning.message)


def loaded() -> bool:
    return "starts_a_thread" in sys.modules


def test_a_preload_that_fails_is_named() -> None:
    with ProcessPoolExecutor(1, preload=["does_not_exist"]) as pool:
        error = pool.submit(abs, 1).exception()
        assert "No module named 'does_not_exist'" in str(error)
        with pytest.raises(type(error), match="does_not_exist"):
            pool.submit(abs, 1)


def zygote_of_this_worker() -> int:
    return os.getppid()


def test_zygotes_that_nobody_uses_are_few() -> None:
    zygotes = []
    for number in range(8):
        with ProcessPoolExecutor(
            1, preload=["decimal", "fractions", "json"][: number % 4] + ["this"] * (number // 4)
        ) as pool:
            zygotes.append(pool.submit(zygote_of_this_worker).result())
    assert len(set(zygotes)) == 8
    until(lambda: sum(map(is_alive, zygotes)) <= 5)
