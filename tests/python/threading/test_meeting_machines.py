"""Conditions and barriers against the stdlib's, with threads that wait for each other.

Who comes waits in a thread of its own, and is known to wait before the next step: so both sides know the same order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from raddle import threading as ours
from tests.python.threading.oracle import LONG, SETTINGS, Machine, Outcome, attempt


class Wait:
    """A wait that is under way."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.outcome: Outcome | None = None
        self._action = action
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.outcome = attempt(self._action)

    def result(self) -> Outcome:
        self._thread.join(LONG)
        assert self.outcome is not None, "it does not end"
        return self.outcome


def until(true: Callable[[], bool]) -> None:
    """Returns once it is so."""
    pause = threading.Event()
    for _ in range(int(LONG / 0.001)):
        if true():
            return
        pause.wait(0.001)
    pytest.fail("it never becomes so")


class ConditionMachine(Machine):
    """Waits end in the order in which they began."""

    @initialize(kind=st.sampled_from(["Lock", "RLock", None]))
    def make(self, kind: str | None) -> None:
        self.pair = tuple(  # type: ignore[assignment]
            module.Condition(getattr(module, kind)() if kind else None) for module in (ours, threading)
        )
        self.waits: list[tuple[Wait, Wait]] = []
        self.flag = False

    def both_held(self, action: Callable[[Any], Any]) -> Outcome:
        def held(condition: Any) -> Any:
            with condition:
                return action(condition)

        return self.both(held)

    @precondition(lambda self: len(self.waits) < 4)
    @rule(timeout=st.sampled_from([None, LONG]))
    def begin(self, timeout: float | None) -> None:
        def start(condition: Any) -> Wait:
            entered = threading.Event()

            def wait() -> Any:
                with condition:
                    entered.set()
                    return condition.wait(timeout)

            waiting = Wait(wait)
            assert entered.wait(LONG)
            with condition:  # it has let go of the lock, so it waits
                return waiting

        self.waits.append((start(self.pair[0]), start(self.pair[1])))

    def ended(self, count: int) -> None:
        for pair in self.waits[:count]:
            assert [wait.result() for wait in pair] == [("returned", True)] * 2
        del self.waits[:count]

    @rule(n=st.sampled_from([(), (1,), (2,), (5,), (0,)]))
    def notify(self, n: Any) -> None:
        self.both_held(lambda condition: condition.notify(*n))
        self.ended(*(n or (1,)))

    @rule()
    def notify_all(self) -> None:
        self.both_held(lambda condition: condition.notify_all())
        self.ended(len(self.waits))

    @rule(timeout=st.sampled_from([0, 0.0001, -1]))
    def wait_in_vain(self, timeout: float) -> None:
        """Those who came before still come first: a wait that is over has left no trace."""
        assert self.both_held(lambda condition: condition.wait(timeout)) == ("returned", False)

    @rule(timeout=st.sampled_from([0, 0.0001]), value=st.sampled_from([0, "", 1, "yes"]))
    def wait_for(self, timeout: float, value: Any) -> None:
        self.both_held(lambda condition: condition.wait_for(lambda: value, timeout))

    @rule(method=st.sampled_from(["wait", "notify", "notify_all", "release", "__exit__"]))
    def misuse(self, method: str) -> None:
        arguments = (None, None, None) if method == "__exit__" else ()
        assert self.both(lambda condition: getattr(condition, method)(*arguments))[0] == "raised"

    @invariant()
    def nobody_goes_on_unasked(self) -> None:
        assert all(wait.outcome is None for pair in self.waits for wait in pair)
        self.both(lambda condition: len(condition._waiters))
        self.both(lambda condition: condition._is_owned())

    def teardown(self) -> None:
        if hasattr(self, "waits"):
            self.notify_all()


class BarrierMachine(Machine):
    @initialize(parties=st.integers(1, 4), fails=st.booleans(), timeout=st.sampled_from([None, LONG]))
    def make(self, parties: int, fails: bool, timeout: float | None) -> None:
        self.calls: tuple[list[int], list[int]] = ([], [])

        def action(calls: list[int]) -> Callable[[], None]:
            def act() -> None:
                calls.append(len(calls))
                if fails and len(calls) == 3:
                    raise ZeroDivisionError

            return act

        self.pair = (
            ours.Barrier(parties, action(self.calls[0]), timeout),
            threading.Barrier(parties, action(self.calls[1]), timeout),
        )
        self.parties = parties
        self.waits: tuple[list[Wait], list[Wait]] = ([], [])

    def ended(self) -> None:
        """All who wait go on, and with the same results."""
        outcomes = [sorted((wait.result() for wait in waits), key=repr) for waits in self.waits]
        assert outcomes[0] == outcomes[1]
        for waits in self.waits:
            waits.clear()

    @rule()
    def come(self) -> None:
        come = len(self.waits[0]) + 1
        broken = self.pair[1].broken
        for barrier, waits in zip(self.pair, self.waits, strict=True):
            waits.append(Wait(barrier.wait))
            if come < self.parties and not broken:
                until(lambda barrier=barrier: barrier.n_waiting == come)  # type: ignore[misc]
        if come == self.parties or broken:
            self.ended()

    @rule(timeout=st.sampled_from([0, 0.0001]))
    def come_for_a_moment(self, timeout: float) -> None:
        """Who gives up breaks the barrier for all."""
        alone = self.parties == 1
        self.both(lambda barrier: barrier.wait(timeout))
        if not alone and self.waits[0]:
            self.ended()

    @rule(method=st.sampled_from(["abort", "reset"]))
    def send_away(self, method: str) -> None:
        self.both(lambda barrier: getattr(barrier, method)())
        self.ended()

    @invariant()
    def they_agree(self) -> None:
        for name in ("parties", "n_waiting", "broken"):
            self.both(lambda barrier, name=name: getattr(barrier, name))  # type: ignore[misc]
        assert self.calls[0] == self.calls[1]
        self.same_repr()

    def teardown(self) -> None:
        if hasattr(self, "waits"):
            self.send_away("abort")


for _machine in (ConditionMachine, BarrierMachine):
    _machine.TestCase.settings = SETTINGS
TestCondition = ConditionMachine.TestCase
TestBarrier = BarrierMachine.TestCase
