"""Random programs of locks, threads and joins against an oracle that tries every schedule.

A program is a list of steps, each by one of a few threads, run one after another: a thread begins a step when the one
before is over or waits. What the oracle says of each position, by trying all that could happen from there, is what
Raddle must say: a step that leaves somebody in a wait which nobody can end raises, and no other one does.
"""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import raddle
from raddle import threading
from raddle.threading import DeadlockError
from tests.python.futures.support import LONG, until

THREADS = 4
LOCKS = 3


@dataclass(frozen=True)
class Position:
    """Who holds each lock and how often, what each thread waits for, who has ended."""

    holds: tuple[tuple[int, int], ...]  # by lock: the holder, -1 for none, and how often
    waits: tuple[tuple[str, int] | None, ...]  # by thread
    ended: frozenset[int]

    def admits(self, thread: int, wait: tuple[str, int]) -> bool:
        kind, number = wait
        if kind == "join":
            return number in self.ended
        return self.holds[number][0] in (-1, thread)

    def grant(self, thread: int) -> Position:
        wait = self.waits[thread]
        assert wait is not None
        holds = list(self.holds)
        if wait[0] == "lock":
            holds[wait[1]] = (thread, holds[wait[1]][1] + 1)
        return Position(tuple(holds), self.with_wait(thread, None), self.ended)

    def with_wait(self, thread: int, wait: tuple[str, int] | None) -> tuple[tuple[str, int] | None, ...]:
        return (*self.waits[:thread], wait, *self.waits[thread + 1 :])

    def end(self, thread: int) -> Position:
        holds = tuple((-1, 0) if holder == thread else (holder, count) for holder, count in self.holds)
        return Position(holds, self.waits, self.ended | {thread})

    def stuck(self) -> set[int]:
        """Return those who can never go on: whoever is free may release all that he holds and end."""
        free = {thread for thread in range(THREADS) if self.waits[thread] is None}
        position = self
        for thread in free:
            position = position.end(thread)
        while True:
            ready = [
                thread
                for thread, wait in enumerate(position.waits)
                if thread not in free and wait is not None and position.admits(thread, wait)
            ]
            if not ready:
                return set(range(THREADS)) - free
            free.add(ready[0])
            position = position.grant(ready[0]).end(ready[0])


class Actor:
    """A thread that does what it is told, one step at a time."""

    def __init__(self, locks: list[Any], number: int) -> None:
        self.steps: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self.done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self.held: list[Any] = []
        self.locks = locks
        self.thread = threading.Thread(target=self.run, name=f"actor {number}", daemon=True)

    def run(self) -> None:
        while (step := self.steps.get()) is not None:
            call, held, *args = step
            try:
                call(*args)
            except DeadlockError as error:
                self.done.put(error)
            else:
                if held is not None:
                    self.held.append(held)
                self.done.put(None)
        for lock in reversed(self.held):
            lock.release()


STEPS = st.lists(
    st.tuples(
        st.integers(0, THREADS - 1),
        st.sampled_from(["lock", "lock", "lock", "release", "join", "timed"]),
        st.integers(0, max(THREADS, LOCKS) - 1),
    ),
    min_size=5,
    max_size=25,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.booleans())
def test_what_the_oracle_calls_a_deadlock_raises_and_nothing_else(
    steps: list[tuple[int, str, int]], fair: bool
) -> None:
    locks = [threading.RLock(fair=fair) for _ in range(LOCKS)]
    actors = [Actor(locks, number) for number in range(THREADS)]
    for actor in actors:
        actor.thread.start()
    position = Position(((-1, 0),) * LOCKS, (None,) * THREADS, frozenset())
    try:
        for number, kind, operand in steps:
            position = step(actors, locks, position, number, kind, operand)
        assert position.stuck() == set()
    finally:
        for actor in actors:
            actor.steps.put(None)
        for actor in actors:
            actor.thread.join(LONG)
            assert not actor.thread.is_alive(), "somebody hangs although nobody was told of a deadlock"


def step(
    actors: list[Actor], locks: list[Any], position: Position, number: int, kind: str, operand: int
) -> Position:
    """Have a thread do something, if it can; return the new position, as the oracle has it."""
    actor = actors[number]
    if position.waits[number] is not None:
        return position
    if kind == "release":
        if not actor.held:
            return position
        lock = actor.held.pop()
        actor.steps.put((lock.release, None))
        assert actor.done.get(timeout=LONG) is None
        index = locks.index(lock)
        count = position.holds[index][1] - 1
        holds = list(position.holds)
        holds[index] = (number, count) if count else (-1, 0)
        return settle(actors, Position(tuple(holds), position.waits, position.ended), locks)
    if kind == "join":
        operand %= THREADS
        if operand == number:
            return position
        wait = ("join", operand)
        call = (actors[operand].thread.join, None)
    else:
        operand %= LOCKS
        wait = ("lock", operand)
        call = (locks[operand].acquire, locks[operand])
    admitted = position.admits(number, wait)
    if kind == "timed":
        actor.steps.put((locks[operand].acquire, None, True, 0.001))
        assert actor.done.get(timeout=LONG) is None
        if admitted:
            actor.steps.put((locks[operand].release, None))
            assert actor.done.get(timeout=LONG) is None
        return position
    waiting = Position(position.holds, position.with_wait(number, wait), position.ended)
    actor.steps.put(call)
    if admitted:
        assert actor.done.get(timeout=LONG) is None
        return waiting.grant(number)
    if waiting.stuck():
        error = actor.done.get(timeout=LONG)
        assert isinstance(error, DeadlockError), "a deadlock nobody was told of"
        assert error.members[0].thread is actor.thread
        for index, member in enumerate(error.members):
            following = error.members[(index + 1) % len(error.members)]
            assert any(member.wants is thing for thing in following.holds)
        return position
    until(lambda: actor.thread.ident in raddle._raddle.sleepers() or not actor.done.empty())
    assert actor.done.empty(), "a false alarm"
    return waiting


def settle(actors: list[Actor], position: Position, locks: list[Any]) -> Position:
    """Find out who got the locks that were released: whoever was quickest, if there is a choice."""
    while True:
        ready = {
            thread: wait
            for thread, wait in enumerate(position.waits)
            if wait is not None and position.admits(thread, wait)
        }
        if not ready:
            return position
        waiting = [actors[thread] for thread in ready]
        until(lambda waiting=waiting: any(not actor.done.empty() for actor in waiting))
        thread = next(thread for thread in ready if not actors[thread].done.empty())
        assert actors[thread].done.get() is None
        position = position.grant(thread)
