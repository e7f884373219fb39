"""What the death of a worker costs: the task that it ran, and nothing else."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from raddle import WorkerDied
from raddle.futures import ProcessPoolExecutor
from tests.python.processes.support import is_alive, no_descriptors, until
from tests.python.processes.tasks import (
    Deadly,
    DeadlyFunction,
    allocate,
    break_once_there_is,
    count,
    fail,
    keep,
    start_something,
)


def pids(pool: ProcessPoolExecutor) -> list[int]:
    return pool._pids()


@contextlib.contextmanager
def repeatedly(act: Callable[[], object], pause: float) -> Iterator[None]:
    """Do something all the time in another thread."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(pause):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def shoot(pool: ProcessPoolExecutor, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError, IndexError):
        os.kill(random.choice(pids(pool)), number)


@pytest.mark.parametrize("start", ["zygote", "fork"])
def test_each_task_runs_once_or_is_reported(tmp_path: Path, start: str) -> None:
    ran = str(tmp_path / "ran")
    with ProcessPoolExecutor(3, start=start) as pool:
        done = -1

        def shoot_once_something_is_done() -> None:
            # Or else nothing ever would be, on a machine that is slow to start workers.
            nonlocal done
            if (completed := pool._stats()["completed"]) > done:
                done = completed
                shoot(pool)

        with repeatedly(shoot_once_something_is_done, 0.02):
            futures = [pool.submit(count, ran, number) for number in range(20_000)]
            errors = [future.exception(60) for future in futures]
        lines = Path(ran).read_text().splitlines()
        assert len(lines) == len(set(lines)), "a task ran twice"
        assert all(error is None or isinstance(error, WorkerDied) for error in errors)
        for number, (future, error) in enumerate(zip(futures, errors, strict=True)):
            if error is None:
                assert future.result() == number
                assert str(number) in lines
        assert sum(error is not None for error in errors) < 1000
        assert pool.submit(abs, -1).result() == 1


def test_stopped_workers_hold_nobody_up_for_ever(tmp_path: Path) -> None:
    ran = str(tmp_path / "ran")
    with ProcessPoolExecutor(2) as pool:

        def disturb() -> None:
            pid = random.choice(pids(pool) or [0])
            if pid:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.005)
                os.kill(pid, signal.SIGCONT)

        with repeatedly(disturb, 0.002):
            futures = [pool.submit(count, ran, number) for number in range(2000)]
            assert [future.result(60) for future in futures] == list(range(2000))
    assert len(Path(ran).read_text().splitlines()) == 2000


def test_a_poison_task_fails_alone() -> None:
    with ProcessPoolExecutor(2) as pool:
        futures = [pool.submit(os._exit, 9) if n % 10 == 0 else pool.submit(abs, -n) for n in range(100)]
        for number, future in enumerate(futures):
            if number % 10 == 0:
                error = future.exception(30)
                assert isinstance(error, WorkerDied)
                assert error.exit_code == 9
            else:
                assert future.result(30) == number


@pytest.mark.parametrize("function", [False, True])
def test_what_kills_while_it_is_unpickled_fails_alone(function: bool) -> None:
    with ProcessPoolExecutor(2) as pool:
        before = [pool.submit(abs, -n) for n in range(50)]
        deadly = pool.submit(DeadlyFunction()) if function else pool.submit(abs, Deadly())
        after = [pool.submit(abs, -n) for n in range(50)]
        error = deadly.exception(30)
        assert isinstance(error, WorkerDied)
        assert error.exit_code == 11
        assert [future.result(30) for future in before + after] == [*range(50), *range(50)]


def test_a_killed_zygote_costs_what_its_workers_ran() -> None:
    with ProcessPoolExecutor(2) as pool:
        zygote = pool.submit(os.getppid).result()
        running = [pool.submit(time.sleep, 60) for _ in range(2)]
        until(lambda: all(future.running() for future in running))
        waiting = [pool.submit(abs, -n) for n in range(20)]
        os.kill(zygote, signal.SIGKILL)
        assert [future.result(30) for future in waiting] == list(range(20))
        assert all(isinstance(future.exception(30), WorkerDied) for future in running)
        assert pool.submit(os.getppid).result() != zygote


def assert_broken(pool: ProcessPoolExecutor, match: str) -> None:
    futures = [pool.submit(time.sleep, 0) for _ in range(5)]
    for future in futures:
        with pytest.raises(BrokenProcessPool, match=match):
            future.result(30)
    with pytest.raises(BrokenProcessPool, match=match):
        pool.submit(abs, 1)


def test_an_initializer_that_raises_breaks_the_pool() -> None:
    with ProcessPoolExecutor(2, initializer=fail) as pool:
        assert_broken(pool, "initializer failed")
        with pytest.raises(BrokenProcessPool) as caught:
            pool.submit(abs, 1)
        assert isinstance(caught.value.__cause__, LookupError)


def test_an_initializer_that_ends_the_process_breaks_the_pool() -> None:
    with ProcessPoolExecutor(2, initializer=os._exit, initargs=(5,)) as pool:
        assert_broken(pool, "exit code 5")


def test_a_later_initializer_that_raises_breaks_everything(tmp_path: Path) -> None:
    path = tmp_path / "there"
    with ProcessPoolExecutor(2, initializer=break_once_there_is, initargs=(str(path),)) as pool:
        running = pool.submit(time.sleep, 60)
        until(running.running)
        path.touch()
        waiting = [pool.submit(time.sleep, 60) for _ in range(3)]
        for future in [running, *waiting]:
            with pytest.raises(BrokenProcessPool):
                future.result(30)


def test_an_initializer_that_hangs_can_be_killed() -> None:
    pool = ProcessPoolExecutor(1, initializer=time.sleep, initargs=(600,))
    future = pool.submit(abs, 1)
    until(lambda: bool(pids(pool)))
    pool.kill_workers()
    assert future.cancelled() or future.exception(10) is not None
    pool.shutdown()


def test_a_worker_over_its_memory_limit_is_killed() -> None:
    with ProcessPoolExecutor(1, memory_limit=200 << 20) as pool:
        assert pool.submit(allocate, 50, 0.3).result() == 50 << 20
        error = pool.submit(allocate, 400, 60).exception(30)
        assert isinstance(error, WorkerDied)
        assert "memory_limit" in str(error)
        assert pool.submit(allocate, 10).result() == 10 << 20


def test_an_initializer_over_the_memory_limit_breaks_the_pool() -> None:
    with ProcessPoolExecutor(1, initializer=allocate, initargs=(300, 60), memory_limit=100 << 20) as pool:
        assert_broken(pool, "memory_limit")


def test_a_worker_that_has_grown_is_replaced_after_its_task() -> None:
    with ProcessPoolExecutor(1, max_memory_per_child=150 << 20) as pool:
        first = pool.submit(os.getpid).result()
        assert pool.submit(keep, 20).result() == first
        assert pool.submit(keep, 200).result() == first
        second = pool.submit(os.getpid).result()
        assert second != first
        futures = [pool.submit(keep, 100) for _ in range(6)]
        assert len({future.result() for future in futures}) == 3
        assert pool._stats()["failed"] == 0


@pytest.mark.parametrize("tasks", [1, 3])
def test_a_worker_is_replaced_after_its_tasks(tasks: int) -> None:
    with ProcessPoolExecutor(2, max_tasks_per_child=tasks) as pool:
        ran = [future.result() for future in [pool.submit(os.getpid) for _ in range(24)]]
    assert max(map(ran.count, ran)) <= tasks


def test_without_descriptors_the_pool_goes_on_with_the_workers_that_it_has() -> None:
    with ProcessPoolExecutor(1) as pool:
        pool.submit(abs, 1).result()
        with no_descriptors():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                pool.resize(3)
                futures = [pool.submit(abs, -n) for n in range(50)]
                assert [future.result(30) for future in futures] == list(range(50))
                until(lambda: pool._stats()["workers"] == 1)
            assert "could not be started" in str(caught[0].message)
        time.sleep(0.6)
        futures = [pool.submit(time.sleep, 0.2) for _ in range(6)]
        until(lambda: pool._stats()["workers"] == 3)
        assert all(future.result(30) is None for future in futures)


def test_without_any_worker_the_error_says_why() -> None:
    with ProcessPoolExecutor(1) as warm:
        warm.submit(abs, 1).result()
        pool = ProcessPoolExecutor(1)
        with no_descriptors():
            error = pool.submit(abs, 1).exception(30)
        assert isinstance(error, BrokenProcessPool)
        assert "Too many open files" in str(error)
        pool.shutdown()


@pytest.mark.parametrize("start", ["zygote", "spawn", "fork"])
def test_what_a_killed_task_has_started_is_killed_too(tmp_path: Path, start: str) -> None:
    path = tmp_path / "pid"
    with ProcessPoolExecutor(1, start=start) as pool:
        future = pool.submit(start_something, str(path))
        until(lambda: path.exists() and path.read_text().endswith("\n"))
        child = int(path.read_text())
        assert is_alive(child)
        os.kill(pids(pool)[0], signal.SIGKILL)
        assert isinstance(future.exception(30), WorkerDied)
        until(lambda: not is_alive(child))


def test_a_task_that_is_terminated_takes_nobody_along() -> None:
    with ProcessPoolExecutor(1) as pool:
        slow = pool.submit(time.sleep, 60)
        others = [pool.submit(abs, -n) for n in range(50)]
        until(slow.running)
        assert slow.terminate()
        assert isinstance(slow.exception(30), WorkerDied)
        assert [future.result(30) for future in others] == list(range(50))


def test_a_task_that_ends_as_it_is_terminated_harms_no_other() -> None:
    with ProcessPoolExecutor(1, kill_grace=0) as pool:
        for _ in range(50):
            futures = [pool.submit(time.sleep, 0.0005) for _ in range(8)]
            time.sleep(random.random() / 200)
            futures[3].terminate()
            assert futures[3].cancelled() or isinstance(futures[3].exception(30), WorkerDied | None)
            assert [future.exception(30) for future in futures[:3] + futures[4:]] == [None] * 7


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def memory() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.slow
def test_deaths_leave_nothing_behind() -> None:
    with ProcessPoolExecutor(2) as pool:

        def die(times: int) -> None:
            for future in [pool.submit(os._exit, 1) for _ in range(times)]:
                assert isinstance(future.exception(60), WorkerDied)

        die(20)
        pool.submit(abs, 1).result()
        before = descriptors(), memory()
        die(200)
        pool.submit(abs, 1).result()
        until(lambda: descriptors() <= before[0] + 2)
        assert memory() < before[1] + (16 << 20)


@pytest.mark.slow
def test_pools_leave_nothing_behind() -> None:
    def use(times: int, shut_down: bool) -> None:
        for _ in range(times):
            pool = ProcessPoolExecutor(1)
            assert pool.submit(abs, -1).result() == 1
            if shut_down:
                pool.shutdown()

    use(10, True)
    before = descriptors(), memory(), threading.active_count()
    use(100, True)
    use(100, False)
    until(lambda: descriptors() <= before[0] + 2)
    until(lambda: len(os.listdir("/proc/self/task")) <= before[2] + 8)
    assert memory() < before[1] + (24 << 20)


def test_nothing_runs_on_where_a_pool_is_dropped() -> None:
    pool = ProcessPoolExecutor(2)
    future = pool.submit(os.getpid)
    pid = future.result()
    del pool
    until(lambda: not is_alive(pid))


def test_children_of_a_worker_count_as_multiprocessings() -> None:
    assert multiprocessing.active_children() == []
