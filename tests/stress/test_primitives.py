"""Random operations over every primitive, by threads that meet all the time: all must end, and nothing be lost.

A wake-up that is lost leaves a thread asleep for ever; then the round does not end, and the test says where everybody
was. `crates/sync/tests/stress` does the same ten million times over without Python; here the bindings take part, with a
switch interval of a microsecond. RADDLE_STRESS_OPERATIONS asks for at least so many, however long they take.
"""

from __future__ import annotations

import faulthandler
import os
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from raddle import threading

SECONDS = float(os.environ.get("RADDLE_STRESS_SECONDS", "20"))
OPERATIONS = int(os.environ.get("RADDLE_STRESS_OPERATIONS", "0"))
SEED = int(os.environ.get("RADDLE_STRESS_SEED", "1"))
PATIENCE = 100.0
"""Seconds after which a round counts as stuck."""

PAIRS = 2
"""Of each kind: producer and consumer, asker and answerer."""
STEPS = 2_000
"""Of each thread in a round."""
SHARE = 200
"""Of these, steps that need a partner's."""

Step = Callable[[random.Random], None]


class Inside:
    """How many are inside something: never more than may be."""

    def __init__(self, most: int) -> None:
        self.most, self.visits = most, deque[None]()

    def __enter__(self) -> None:
        self.visits.append(None)
        assert len(self.visits) <= self.most, "too many at once"

    def __exit__(self, *_: object) -> None:
        self.visits.pop()


class Round:
    """One of each primitive, and threads that use them."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.seed, self.errors = seed, list[BaseException]()
        self.locks = [(threading.Lock(fair=fair), Inside(1)) for fair in (False, True)]
        self.locks += [(threading.RLock(fair=fair), Inside(1)) for fair in (False, True)]
        self.semaphores = [(threading.Semaphore(most, fair=most > 1), Inside(most)) for most in (1, 3)]
        self.shared, self.written = threading.RWLock(fair=rng.random() < 0.5), [0, 0]
        self.event, self.flag = threading.Event(), threading.Condition()
        self.counted = threading.AtomicInt()
        # A store with room for two; every thing in it goes through somebody's hands.
        self.store, self.room = deque[int](), threading.Condition(threading.Lock())
        # Questions, each with the event or the latch that answers it.
        self.questions, self.asked = deque[Any](), threading.Semaphore(0)
        self.threads = 4 * PAIRS
        self.all_here = threading.Barrier(self.threads)

    # Steps that end by themselves.

    def lock(self, rng: random.Random) -> None:
        lock, inside = rng.choice(self.locks)
        patience = rng.choice([-1, -1, -1, 0, 0.00001, 0.001])
        if lock.acquire(timeout=patience):
            with inside:
                if isinstance(lock, threading.RLock):
                    assert lock.acquire(False)
                    lock.release()
            lock.release()

    def semaphore(self, rng: random.Random) -> None:
        semaphore, inside = rng.choice(self.semaphores)
        if semaphore.acquire(timeout=rng.choice([None, None, 0, 0.0001])):
            with inside:
                pass
            semaphore.release()

    def share(self, rng: random.Random) -> None:
        if rng.random() < 0.8:
            with self.shared.read():
                first, second = self.written
                assert first == second
        else:
            with self.shared.write():
                self.written[0] += 1
                self.written[1] += 1

    def signal(self, rng: random.Random) -> None:
        """Whoever waits for the event may wait in vain, and does so for a moment only."""
        rng.choice([self.event.set, self.event.clear, lambda: self.event.wait(rng.choice([0, 0.0001]))])()

    def notify(self, rng: random.Random) -> None:
        with self.flag:
            if rng.random() < 0.2:
                self.flag.wait(0.0001)
            else:
                self.flag.notify(rng.randint(0, 3))

    def count(self, rng: random.Random) -> None:
        self.counted.add(1)

    # Steps that wait for a partner's, without a timeout.

    def put(self, rng: random.Random) -> None:
        with self.room:
            while len(self.store) == 2:
                self.room.wait()
            self.store.append(1)
            self.room.notify_all()

    def get(self, rng: random.Random) -> None:
        with self.room:
            assert self.room.wait_for(lambda: self.store)
            self.store.popleft()
            self.room.notify_all()

    def ask(self, rng: random.Random) -> None:
        answer = threading.Event() if rng.random() < 0.5 else threading.Latch(1)
        self.questions.append(answer)
        self.asked.release()
        assert answer.wait()

    def answer(self, rng: random.Random) -> None:
        with self.asked_for():
            answer = self.questions.popleft()
            answer.set() if isinstance(answer, threading.Event) else answer.count_down()

    @contextmanager
    def asked_for(self) -> Iterator[None]:
        assert self.asked.acquire()
        yield

    def work(self, seed: int, partners: Step) -> None:
        rng = random.Random(seed)
        alone = [self.lock, self.lock, self.semaphore, self.share, self.signal, self.notify, self.count]
        steps = [partners] * SHARE + rng.choices(alone, k=STEPS - SHARE)
        rng.shuffle(steps)
        try:
            for step in steps:
                step(rng)
            self.all_here.wait()
        except BaseException as error:
            self.errors.append(error)
            self.all_here.abort()

    def run(self) -> int:
        """Return how many operations it did."""
        kinds = [self.put, self.get, self.ask, self.answer] * PAIRS
        threads = [
            threading.Thread(target=self.work, args=(f"{self.seed} {number}", kind), daemon=True)
            for number, kind in enumerate(kinds)
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0))
        assert self.errors == [], f"seed {self.seed}"
        if any(thread.is_alive() for thread in threads):
            threading.dump()
            faulthandler.dump_traceback(all_threads=True)
            pytest.fail(f"seed {self.seed}: a thread hangs")
        self.account()
        return STEPS * self.threads

    def account(self) -> None:
        left = [bool(lock.locked()) for lock, _ in self.locks]
        assert not any(left), f"seed {self.seed}: a lock is held by nobody"
        assert [semaphore._value for semaphore, _ in self.semaphores] == [1, 3], f"seed {self.seed}"
        assert not self.shared.locked()
        assert (len(self.store), len(self.questions), self.asked._value) == (0, 0, 0), f"seed {self.seed}"
        assert (self.all_here.n_waiting, self.all_here.broken) == (0, False), f"seed {self.seed}"


@pytest.fixture
def hasty() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.slow
@pytest.mark.timeout(0 if OPERATIONS else SECONDS + 400)
def test_random_operations_lose_no_wake_up(hasty: None) -> None:
    end = time.monotonic() + SECONDS * 0.5
    seed, operations = SEED, 0
    while operations < OPERATIONS or seed == SEED or time.monotonic() < end:
        operations += Round(seed).run()
        seed += 1
    print(f"{operations:,} operations in {seed - SEED} rounds")
