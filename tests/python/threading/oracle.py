"""What the machines share that do the same to one of Raddle's primitives and to the stdlib's, and compare."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine

#: Seconds after which a step counts as stuck.
LONG = 30.0

SETTINGS = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

Outcome = tuple[str, Any]


def attempt(action: Callable[[], Any]) -> Outcome:
    """What an action returns, or the class of what it raises."""
    try:
        return "returned", action()
    except Exception as error:
        return "raised", type(error)


class Hand:
    """A thread that does what it is told, so that a lock can belong to somebody else."""

    def __init__(self) -> None:
        self._orders: queue.Queue[Callable[[], Any]] = queue.Queue()
        self._outcomes: queue.Queue[Outcome] = queue.Queue()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._outcomes.put(attempt(self._orders.get()))

    def do(self, action: Callable[[], Any]) -> Outcome:
        self._orders.put(action)
        return self._outcomes.get(timeout=LONG)


_hands: list[Hand] = []


def by(thread: int, action: Callable[[], Any]) -> Outcome:
    """Does the action in one of several threads; 0 is the calling one."""
    while len(_hands) < thread:
        _hands.append(Hand())
    return attempt(action) if thread == 0 else _hands[thread - 1].do(action)


class Machine(RuleBasedStateMachine):
    """A primitive of Raddle's and one of the stdlib's."""

    pair: tuple[Any, Any]

    def both(self, action: Callable[[Any], Any], thread: int = 0) -> Outcome:
        """Does the action to both in the same thread, and returns what both say."""
        ours, theirs = (by(thread, lambda thing=thing: action(thing)) for thing in self.pair)  # type: ignore[misc]
        assert ours == theirs
        return theirs

    def same_repr(self) -> None:
        """Both reprs tell the same state, as far as the stdlib's tells any."""
        ours, theirs = [*map(told, self.pair)]
        assert not theirs or ours == theirs


def told(thing: object) -> list[str]:
    """The words of a repr that tell of a state."""
    states = r"\b(?:unlocked|locked|owner=\d+|count=\d+|value=\d+(?:/\d+)?|set|unset|waiters=\d+/\d+|broken)"
    return re.findall(rf"{states}(?![\w=])", repr(thing))
