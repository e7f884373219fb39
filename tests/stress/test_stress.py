"""Everything at random and at once: every task is accounted for, and nothing hangs.

Each round draws its operations from a fixed seed. `RADDLE_STRESS_SECONDS` sets how long the rounds go on (default 20),
`RADDLE_STRESS_SEED` the first seed; a failure names the seed of its round, and tells where every thread stands. A seed
does not fix the order of events: it may take thousands of rounds to meet the same failure again.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pytest

import raddle
from raddle.futures import Future, ThreadPoolExecutor
from tests.python.futures.support import run_program

SECONDS = float(os.environ.get("RADDLE_STRESS_SECONDS", "20"))
SEED = int(os.environ.get("RADDLE_STRESS_SEED", "1"))
PATIENCE = 100.0
"""Seconds after which an outcome counts as lost."""

EXPECTED = (ZeroDivisionError, raddle.TaskTimeout, raddle.DependencyFailed, CancelledError)


class Round:
    """One executor, and threads that do things to it at random."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        bound = self.random.choice([None, None, 5])
        self.pool = ThreadPoolExecutor(self.random.randint(1, 5), max_pending=bound)
        self.lock = threading.Lock()
        self.futures: list[Future[Any]] = []
        self.called_back = 0
        self.mapped: list[BaseException] = []

    def task(self, number: int, depth: int = 0) -> int:
        kind = number % 11
        if kind == 0:
            return 1 // 0
        if kind == 1 and depth < 3:
            return self.pool.submit(self.task, number // 11, depth + 1).result(PATIENCE)
        if kind == 2:
            return sum(range(500))
        if kind == 3:
            time.sleep(0.0005)
        return number

    def slow(self) -> None:
        deadline = time.monotonic() + 0.05
        while time.monotonic() < deadline:
            pass

    def keep(self, future: Future[Any]) -> None:
        future.add_done_callback(self.count)
        with self.lock:
            self.futures.append(future)

    def count(self, _: object) -> None:
        with self.lock:
            self.called_back += 1

    def some(self, rng: random.Random, most: int) -> list[Future[Any]]:
        with self.lock:
            return rng.sample(self.futures, min(len(self.futures), rng.randint(0, most)))

    def submit(self, rng: random.Random) -> None:
        self.keep(self.pool.submit(self.task, rng.getrandbits(20)))

    def submit_with_options(self, rng: random.Random) -> None:
        view = self.pool.options(
            timeout=rng.choice([None, 0.001, 0.01, 5]),
            retries=rng.randint(0, 2),
            backoff=rng.choice([None, 0.001]),
            priority=rng.randint(-2, 2),
            after=self.some(rng, 3) if rng.random() < 0.4 else (),
        )
        task = (self.slow,) if rng.random() < 0.1 else (self.task, rng.getrandbits(20))
        self.keep(view.submit(*task))

    def cancel(self, rng: random.Random) -> None:
        for future in self.some(rng, 3):
            future.cancel()

    def wait(self, rng: random.Random) -> None:
        condition = rng.choice([raddle.ALL_COMPLETED, raddle.FIRST_COMPLETED, raddle.FIRST_EXCEPTION])
        raddle.wait(self.some(rng, 10), rng.choice([0, 0.001, 0.01]), condition)

    def iterate(self, rng: random.Random) -> None:
        with contextlib.suppress(raddle.TimeoutError):
            for _ in raddle.as_completed(self.some(rng, 10), 0.01):
                if rng.random() < 0.1:
                    break

    def map(self, rng: random.Random) -> None:
        count = rng.randint(0, 60)
        view = self.pool if rng.random() < 0.7 else self.pool.options(retries=1)
        options = {
            "ordered": rng.random() < 0.5,
            "buffersize": rng.choice([None, 1, 4]),
            "chunksize": rng.choice([None, 1, 3]),
        }
        items = view.map(abs, range(count), **options)
        if rng.random() < 0.2:
            next(items, None)
            items.close()
        else:
            found = sorted(items)
            if found != list(range(count)):
                self.mapped.append(AssertionError(f"{options} of {count} gave {found}"))

    def resize(self, rng: random.Random) -> None:
        self.pool.resize(rng.randint(1, 6))

    def look(self, rng: random.Random) -> None:
        stats = self.pool.stats()
        if stats.busy > 1000 or stats.workers > 1000 or stats.idle > stats.workers:
            self.mapped.append(AssertionError(f"the figures make no sense: {stats}"))

    def work(self, seed: int, steps: int) -> None:
        rng = random.Random(seed)
        often: list[Callable[[random.Random], None]] = [self.submit] * 12 + [self.submit_with_options] * 6
        rarely = [self.cancel, self.cancel, self.wait, self.iterate, self.map, self.resize, self.look]
        for _ in range(steps):
            try:
                rng.choice(often + rarely)(rng)
            except (CancelledError, RuntimeError) as error:
                # The executor was shut down by the round, which cancels what waits.
                if isinstance(error, RuntimeError) and "after shutdown" not in str(error):
                    self.mapped.append(error)
                return
            except BaseException as error:
                self.mapped.append(error)
                return

    def run(self) -> None:
        seeds = [self.random.getrandbits(32) for _ in range(3)]
        threads = [threading.Thread(target=self.work, args=(seed, 120), daemon=True) for seed in seeds]
        for thread in threads:
            thread.start()
        early = self.random.random() < 0.3
        if early:
            threads[0].join(0.02)
        else:
            self.join(threads)
        self.pool.shutdown(wait=True, cancel_futures=early)
        self.join(threads)
        self.account()

    def join(self, threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join(PATIENCE)
        hanging = [thread.name for thread in threads if thread.is_alive()]
        assert not hanging, self.tell(f"{hanging} hang")

    def tell(self, what: str) -> str:
        """Say what is needed to find the cause."""
        where = io.StringIO()
        raddle.dump(where)
        return f"seed {self.seed}: {what}; {self.pool.stats()}\n{where.getvalue()}"

    def account(self) -> None:
        assert self.mapped == [], f"seed {self.seed}"
        undone = raddle.wait(self.futures, PATIENCE).not_done
        assert undone == set(), self.tell(f"{undone} do not end")
        for future in self.futures:
            error = CancelledError() if future.cancelled() else future.exception()
            # A task that submits to its executor may find it shut down.
            refused = isinstance(error, RuntimeError) and "after shutdown" in str(error)
            assert error is None or refused or isinstance(error, EXPECTED), f"seed {self.seed}: {error!r}"
        deadline = time.monotonic() + PATIENCE
        while self.called_back < len(self.futures) and time.monotonic() < deadline:
            threading.Event().wait(0.001)
        assert self.called_back == len(self.futures), self.tell("callbacks were lost or called twice")
        stats = self.pool.stats()
        assert (stats.queued, stats.deferred) == (0, 0), f"seed {self.seed}: {stats}"


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 400)
def test_random_operations_lose_no_task() -> None:
    end = time.monotonic() + SECONDS * 0.5
    seed = SEED
    while seed == SEED or time.monotonic() < end:
        Round(seed).run()
        seed += 1


PROGRAM = """
import os, random, select, signal, sys, threading, time, warnings
import raddle
from raddle.futures import ThreadPoolExecutor

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of every fork of a program with threads
rng = random.Random({seed})
pool = ThreadPoolExecutor(rng.randint(1, 4))

def busy(number):
    if number % 7 == 0:
        raise ValueError(number)
    if number % 5 == 0:
        return pool.submit(abs, number).result(60)
    return sum(range(number % 300))

def churn(seed):
    mine = random.Random(seed)
    try:
        for number in range(100):
            view = pool.options(timeout=mine.choice([None, 0.001, 5]), retries=mine.randint(0, 2),
                                priority=mine.randint(-1, 1))
            future = mine.choice([pool, view]).submit(busy, mine.getrandbits(16))
            if mine.random() < 0.1:
                list(pool.map(abs, range(20)))
            if mine.random() < 0.1:
                future.cancel()
            if mine.random() < 0.05:
                pool.resize(mine.randint(1, 5))
    except raddle.CancelledError:
        pass  # a map that the shutdown cancels
    except RuntimeError as error:
        assert "shutdown" in str(error), error

threads = [threading.Thread(target=churn, args=(rng.getrandbits(32),), daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(3):
    came, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.write(tell, b"!")
            code = pool.submit(pow, 2, 3).result(60) + len(list(pool.map(abs, range(3))))
        finally:
            os._exit(code)
    # CPython up to 3.11 itself hangs now and then in os.fork, in the child: _PyThreadState_DeleteExcept waits for a
    # lock that another thread of the parent held while it started or ended. Later versions make it anew first.
    if sys.version_info < (3, 12) and not select.select([came], [], [], 20)[0]:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    else:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code == 11, code
    os.close(came)
    os.close(tell)
if rng.random() < 0.5:
    for thread in threads:
        thread.join()
{ending}
"""

ENDINGS = {
    "end": ("", (0,)),
    "exit": ("sys.exit(3)", (3,)),
    "interrupt": ("raise KeyboardInterrupt", (-2, 130)),
    "shutdown": ("pool.shutdown(cancel_futures=True)", (0,)),
}


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 400)
def test_programs_end_and_fork_in_the_middle_of_everything() -> None:
    end = time.monotonic() + SECONDS * 0.5
    seed = SEED
    while seed == SEED or time.monotonic() < end:
        name = list(ENDINGS)[seed % len(ENDINGS)]
        ending, codes = ENDINGS[name]
        ended = run_program(PROGRAM.format(seed=seed, ending=ending))
        assert ended.code in codes, f"seed {seed}, {name}: {ended}"
        assert "Fatal" not in ended.err, f"seed {seed}, {name}: {ended}"
        assert ended.err.count("Traceback") == (name == "interrupt"), f"seed {seed}, {name}: {ended}"
        seed += 1
