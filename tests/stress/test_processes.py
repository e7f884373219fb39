"""Worker processes that are killed and stopped all the time: every task is accounted for, and nothing hangs or leaks.

What the tasks themselves write into a journal is set against what their futures say. `RADDLE_STRESS_SECONDS` sets how
long the storms go on (default 20, of which these take a part), `RADDLE_STRESS_SEED` the first seed; a failure names the
seed of its round.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

import raddle
from raddle.futures import Future, ProcessPoolExecutor
from tests.python.futures.support import run_program, until
from tests.stress import tasks

SECONDS = float(os.environ.get("RADDLE_STRESS_SECONDS", "20"))
SEED = int(os.environ.get("RADDLE_STRESS_SEED", "1"))
LONG_FORM = SECONDS > 60
PATIENCE = 100.0
"""Seconds after which an outcome counts as lost."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 400)]


class Killer:
    """Sends SIGKILL and SIGSTOP to random workers of a pool, until the block is over."""

    def __init__(self, pool: ProcessPoolExecutor, seed: int, period: float = 0.02) -> None:
        self.pool, self.random, self.period = pool, random.Random(seed), period
        self.ended, self.killed = threading.Event(), 0
        self.thread = threading.Thread(target=self.run, name="killer", daemon=True)

    def __enter__(self) -> Killer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def run(self) -> None:
        stopped: list[int] = []
        while not self.ended.wait(self.period):
            self.resume(stopped)
            pids = self.pool._pids()
            if pids:
                pid = self.random.choice(pids)
                # A pid whose process was reaped since could be anybody's by now: it is not for some thousand processes.
                with contextlib.suppress(ProcessLookupError):
                    if self.random.random() < 0.5:
                        os.kill(pid, signal.SIGKILL)
                        self.killed += 1
                    else:
                        os.kill(pid, signal.SIGSTOP)
                        stopped.append(pid)
        self.resume(stopped)

    def resume(self, stopped: list[int]) -> None:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        stopped.clear()


class Storm:
    """A pool, a journal of what its tasks have done, and threads that give it work."""

    def __init__(self, seed: int, path: Path, **options: Any) -> None:
        self.seed, self.random = seed, random.Random(seed)
        self.journal = str(path / f"journal-{seed}")
        self.pool = ProcessPoolExecutor(options.pop("workers", 2), kill_grace=0, **options)
        self.lock = threading.Lock()
        self.futures: dict[int, Future[Any]] = {}
        self.tries: dict[int, int] = {}
        self.numbers = iter(range(10**9))
        self.errors: list[BaseException] = []
        # What map has yielded, by the numbers that it was given.
        self.mapped: dict[int, object] = {}

    def next_number(self) -> int:
        with self.lock:
            return next(self.numbers)

    def keep(self, number: int, future: Future[Any], tries: int = 1) -> None:
        with self.lock:
            self.futures[number], self.tries[number] = future, tries

    def submit(self, rng: random.Random) -> None:
        number = self.next_number()
        self.keep(number, self.pool.submit(tasks.journal, self.journal, number, rng.choice([0, 0, 0.0005])))

    def submit_large(self, rng: random.Random) -> None:
        number = self.next_number()
        data = bytes(rng.choice([40_000, 1 << 20]))
        self.keep(number, self.pool.submit(tasks.journal_and_echo, self.journal, number, data))

    def cancel(self, rng: random.Random) -> None:
        self.some(rng).cancel()

    def terminate(self, rng: random.Random) -> None:
        self.some(rng).terminate()

    def some(self, rng: random.Random) -> Future[Any]:
        with self.lock:
            if self.futures:
                return rng.choice(list(self.futures.values())[-50:])
        nothing: Future[Any] = Future()
        nothing.set_result(None)
        return nothing

    def await_one(self, rng: random.Random) -> None:
        with contextlib.suppress(raddle.WorkerDied, CancelledError):
            self.some(rng).result(PATIENCE)

    def map(self, rng: random.Random) -> None:
        numbers = [self.next_number() for _ in range(rng.randint(1, 200))]
        results = self.pool.map(
            tasks.journal, [self.journal] * len(numbers), numbers, return_exceptions=True, timeout=PATIENCE
        )
        for number, result in zip(numbers, results, strict=True):
            self.mapped[number] = result

    def work(self, seed: int, steps: Sequence[Callable[[random.Random], None]], count: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(count):
                rng.choice(steps)(rng)
        except BaseException as error:
            self.errors.append(error)

    def run(self, steps: Sequence[Callable[[random.Random], None]], count: int, threads: int = 1) -> None:
        each = count // threads
        workers = [
            threading.Thread(target=self.work, args=(self.random.getrandbits(32), steps, each), daemon=True)
            for _ in range(threads)
        ]
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join(PATIENCE)
        if any(thread.is_alive() for thread in workers):
            self.hang("a thread hangs")
        assert self.errors == [], f"seed {self.seed}"
        undone = raddle.wait(self.futures.values(), PATIENCE).not_done
        if undone:
            self.hang(f"{len(undone)} futures never end")

    def hang(self, what: str) -> None:
        faulthandler.dump_traceback(all_threads=True)
        pytest.fail(f"seed {self.seed}: {what}: {self.pool.stats()}")

    def outcomes(self) -> Iterator[tuple[int, object]]:
        for number, future in self.futures.items():
            yield number, CancelledError() if future.cancelled() else future.exception() or future.result()
        yield from self.mapped.items()

    def account(self) -> None:
        """Every task has run at most once, and exactly once if it has a result."""
        runs: Counter[int] = Counter()
        if os.path.exists(self.journal):
            with open(self.journal, encoding="ascii") as file:
                runs.update(map(int, file))
        for number, outcome in self.outcomes():
            if isinstance(outcome, BaseException):
                assert isinstance(outcome, raddle.WorkerDied | CancelledError), (
                    f"seed {self.seed}: {outcome!r}"
                )
                assert runs[number] <= self.tries.get(number, 1), (
                    f"seed {self.seed}: {number} ran again: {outcome!r}"
                )
                assert not (runs[number] and isinstance(outcome, CancelledError)), (
                    f"seed {self.seed}: {number} ran"
                )
            else:
                assert outcome == number, f"seed {self.seed}: {number} gave {outcome!r}"
                assert 1 <= runs[number] <= self.tries.get(number, 1), (
                    f"seed {self.seed}: {number}: {runs[number]}"
                )

    def close(self) -> None:
        """The pool works as before, holds no memory of its tasks, and ends."""
        self.futures.clear()
        self.mapped.clear()
        gc.collect()
        workers = self.pool._max_workers
        assert list(self.pool.map(abs, range(-20, 0), timeout=PATIENCE)) == list(range(20, 0, -1))
        until(lambda: self.pool._arena_used() == 0, PATIENCE)
        until(lambda: len(self.pool._pids()) <= workers, PATIENCE)
        self.pool.shutdown()
        assert self.pool._pids() == []


def rounds(share: float) -> Iterator[int]:
    """The seeds of as many rounds as there is time for."""
    end = time.monotonic() + SECONDS * share
    seed = SEED
    while seed == SEED or time.monotonic() < end:
        yield seed
        seed += 1


COUNT = 10_000 if LONG_FORM else 1_500


def test_tasks_under_a_killer_run_once(tmp_path: Path) -> None:
    for seed in rounds(0.05):
        storm = Storm(seed, tmp_path)
        with Killer(storm.pool, seed):
            storm.run([storm.submit], 10_000)
        storm.account()
        storm.close()


def test_batches_under_a_killer_run_once(tmp_path: Path) -> None:
    for seed in rounds(0.05):
        storm = Storm(seed, tmp_path)
        with Killer(storm.pool, seed):
            storm.run([storm.map], COUNT // 100)
        storm.account()
        storm.close()


def test_everything_at_once_from_eight_threads(tmp_path: Path) -> None:
    for seed in rounds(0.05):
        storm = Storm(seed, tmp_path, workers=3, arena_limit=16 << 20)
        steps = [storm.submit] * 12 + [storm.submit_large] * 4
        steps += [storm.cancel, storm.terminate, storm.await_one, storm.map]
        with Killer(storm.pool, seed):
            storm.run(steps, COUNT // 4, threads=8)
        storm.account()
        storm.close()


def test_large_arguments_leave_no_memory_behind(tmp_path: Path) -> None:
    for seed in rounds(0.05):
        storm = Storm(seed, tmp_path, arena_limit=8 << 20)
        with Killer(storm.pool, seed):
            storm.run([storm.submit_large], COUNT // 10, threads=8)
        storm.account()
        storm.close()


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_many_tiny_tasks_with_steady_memory() -> None:
    count = 1_000_000 if LONG_FORM else 60_000
    with ProcessPoolExecutor(1) as pool:

        def lot(size: int) -> None:
            for future in [pool.submit(abs, -number) for number in range(size)]:
                assert future.result(PATIENCE) >= 0

        def figures() -> tuple[list[int], list[int]]:
            pids = [os.getpid(), *pool._pids()]
            return [resident(pid) for pid in pids], [descriptors(pid) for pid in pids]

        lot(count // 6)
        lot(count // 6)
        memory, fds = figures()
        for _ in range(4):
            lot(count // 6)
        grown, fds_after = figures()
        assert fds_after == fds
        for before, after in zip(memory, grown, strict=True):
            assert after - before < 4 << 20, (memory, grown)


def test_thousands_of_functions_that_are_forgotten_at_once_leave_room_for_a_task() -> None:
    with ProcessPoolExecutor(1) as pool:
        # While the worker is busy, nothing comes back, so all functions are known at once. Then it has nothing to do,
        # and its ring is full of orders to forget them.
        busy = pool.submit(time.sleep, 1)
        futures = [pool.submit(lambda number=number: number) for number in range(6_000)]
        assert [future.result(PATIENCE) for future in futures] == list(range(6_000))
        assert busy.result(PATIENCE) is None
        assert pool.submit(abs, -1).result(PATIENCE) == 1


@pytest.mark.filterwarnings("ignore:.*its channel is corrupt:RuntimeWarning")
@pytest.mark.parametrize("what", ["raddle-channel", "raddle-results", "raddle"])
def test_a_worker_that_scribbles_is_named(what: str) -> None:
    for seed in rounds(0.02):
        with ProcessPoolExecutor(2, kill_grace=0) as pool:
            assert pool.submit(abs, -1).result(PATIENCE) == 1
            others = [pool.submit(time.sleep, 0.002) for _ in range(20)]
            bad = pool.submit(tasks.scribble, what, seed)
            others += [pool.submit(time.sleep, 0.002) for _ in range(20)]
            # Whether anybody notices depends on what was hit; nobody may hang, and who dies is named.
            error = bad.exception(PATIENCE)
            assert error is None or isinstance(error, Exception), f"seed {seed}: {error!r}"
            if isinstance(error, raddle.WorkerDied):
                assert "ProcessPoolExecutor-" in str(error), f"seed {seed}: {error}"
            ends = [other.exception(PATIENCE) for other in others]
            assert sum(end is not None for end in ends) <= 2, f"seed {seed}: {ends}"
            assert [pool.submit(abs, -1).result(PATIENCE) for _ in range(4)] == [1] * 4, f"seed {seed}"


NESTED = """
import sys, time
from tests.stress import tasks
print(tasks.nest({depth}, {path!r}), flush=True)
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def test_nested_pools_die_with_the_outermost_process(tmp_path: Path) -> None:
    depth = 5
    path = str(tmp_path / "pids")
    parent = subprocess.Popen(
        [sys.executable, "-c", NESTED.format(depth=depth, path=path)], stdout=subprocess.PIPE
    )

    def pids() -> list[int]:
        return (
            [int(line) for line in Path(path).read_text(encoding="ascii").split()]
            if os.path.exists(path)
            else []
        )

    try:
        until(lambda: len(pids()) == depth + 1, PATIENCE)
    finally:
        parent.kill()
        parent.communicate()
    until(lambda: not any(map(is_alive, pids())), 20)


LIMITED = """
import resource, os, raddle
from raddle.futures import ProcessPoolExecutor
from tests.stress import tasks
hold = []
if {limit!r} == "files":
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    while len(os.listdir("/proc/self/fd")) < 64 - {spare}:
        hold.append(os.open("/dev/null", os.O_RDONLY))
else:
    # For root there is no limit of processes: what fails is the memory of a process.
    resource.setrlimit(resource.RLIMIT_NPROC, ({spare}, {spare}))
ended = refused = 0
try:
    pool = ProcessPoolExecutor(8, arena_limit=1 << 20)
except OSError:
    refused += 1
else:
    for _ in range(40):
        try:
            future = pool.submit(tasks.nap, 0.002)
        except (RuntimeError, OSError) as error:
            refused += 1
            continue
        error = future.exception(60)
        assert error is None or isinstance(error, (RuntimeError, OSError)), error
        ended += 1
    pool.shutdown()
print(ended, refused)
"""


@pytest.mark.parametrize("limit", ["files", "processes"])
def test_limits_of_the_system_are_told(limit: str) -> None:
    for spare in range(0, 40, 3 if LONG_FORM else 9):
        ended = run_program(LIMITED.format(limit=limit, spare=spare))
        assert ended.code == 0, f"{limit}, {spare} left: {ended}"
        finished, refused = map(int, ended.out.split())
        assert finished + refused in (1, 40), f"{limit}, {spare} left: {ended}"


FORKING = """
import os, random, signal, threading, time, warnings
import raddle
from raddle.futures import ProcessPoolExecutor

warnings.simplefilter("ignore", DeprecationWarning)
rng = random.Random({seed})
pool = ProcessPoolExecutor(2)
stop = threading.Event()
errors = []

def churn():
    try:
        while not stop.is_set():
            futures = [pool.submit(abs, -number) for number in range(20)]
            assert [future.result(60) for future in futures] == list(range(20))
            pool.submit(len, bytes(100_000)).result(60)
    except BaseException as error:
        errors.append(error)

threads = [threading.Thread(target=churn, daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(3):
    time.sleep(rng.random() * 0.05)
    running = pool.submit(time.sleep, 0.01)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(30)
            try:
                running.result(10)
            except raddle.ForkError:
                pass
            code = pool.submit(pow, 2, 3).result(20) + len(list(pool.map(abs, range(3))))
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    # CPython up to 3.11 itself hangs now and then in os.fork, in the child (see `test_stress`): its alarm ends it.
    assert code == 11 or (code == -signal.SIGALRM and {old}), code
stop.set()
for thread in threads:
    thread.join(60)
assert not errors, errors
pool.shutdown()
"""


def test_forks_of_the_parent_while_tasks_run() -> None:
    for seed in rounds(0.03):
        ended = run_program(FORKING.format(seed=seed, old=sys.version_info < (3, 12)))
        assert ended.code == 0, f"seed {seed}: {ended}"
