"""`Future` against `concurrent.futures.Future`: whatever is done to both, both say the same.

The oracle is the stdlib's class of the interpreter that runs the test. Every observable of both is compared after each
step: state, outcome or the exception that asking for it raises, calls of callbacks, return values of every method.
"""

from __future__ import annotations

import concurrent.futures
import logging
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from raddle.futures import Future, as_completed, wait

ERRORS = (ValueError("v"), KeyError("k"), SystemExit(1), KeyboardInterrupt())


def attempt(action: Callable[[], Any]) -> tuple[str, Any]:
    """What an action returns, or the class of what it raises."""
    try:
        return "returned", action()
    except BaseException as error:
        # An outcome that is raised is the very object that was put in; others are told by their class.
        return "raised", error if error in ERRORS else type(error)


class FutureMachine(RuleBasedStateMachine):
    """One future of each kind, and the log of each one's callbacks."""

    @initialize()
    def make(self) -> None:
        self.futures: tuple[Any, Any] = (Future(), concurrent.futures.Future())
        self.calls: tuple[list[Any], list[Any]] = ([], [])
        self.watched = False
        logging.getLogger("concurrent.futures").setLevel(logging.CRITICAL + 1)

    def teardown(self) -> None:
        logging.getLogger("concurrent.futures").setLevel(logging.NOTSET)

    def both(self, action: Callable[[Any], Any]) -> tuple[str, Any]:
        ours, theirs = (attempt(lambda f=future: action(f)) for future in self.futures)
        assert ours == theirs
        return ours

    @rule(value=st.one_of(st.none(), st.integers(), st.text()))
    def set_result(self, value: object) -> None:
        self.both(lambda future: future.set_result(value))

    @rule(error=st.sampled_from(ERRORS))
    def set_exception(self, error: BaseException) -> None:
        self.both(lambda future: future.set_exception(error))

    @rule()
    def cancel(self) -> None:
        self.both(lambda future: future.cancel())

    @rule()
    def start(self) -> None:
        self.both(lambda future: future.set_running_or_notify_cancel())

    @rule(label=st.integers(0, 9), fails=st.booleans())
    def add_callback(self, label: int, fails: bool) -> None:
        for future, calls in zip(self.futures, self.calls, strict=True):

            def call(ended: Any, future: Any = future, calls: list[Any] = calls) -> None:
                calls.append((label, ended is future, ended.done(), ended.cancelled()))
                if fails:
                    raise ValueError

            future.add_done_callback(call)

    @rule()
    def look_inside(self) -> None:
        """From now on the stdlib's condition exists, and completion takes it."""
        self.watched = True
        for future in self.futures:
            with future._condition:
                assert isinstance(future._waiters, list)

    @rule(timeout=st.sampled_from([0, -1, 0.0001]))
    def ask(self, timeout: float) -> None:
        self.both(lambda future: future.result(timeout))
        self.both(lambda future: future.exception(timeout))

    @rule(condition=st.sampled_from(["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"]))
    def wait_for_it(self, condition: str) -> None:
        for ours, theirs in ((wait, concurrent.futures.wait), (concurrent.futures.wait, wait)):
            done = [
                len(waits([f], 0, condition).done)
                for waits, f in zip((ours, theirs), self.futures, strict=True)
            ]
            assert done[0] == done[1]
        assert len(wait(self.futures, 0).done) in (0, 2)

    @rule()
    def iterate(self) -> None:
        def collect(iterate: Callable[..., Any]) -> Callable[[Any], Any]:
            return lambda future: [found is future for found in iterate([future], 0)]

        outcomes = [
            attempt(lambda f=f, i=i: collect(i)(f))
            for f, i in zip(self.futures, (as_completed, concurrent.futures.as_completed), strict=True)
        ]
        assert outcomes[0] == outcomes[1]

    @invariant()
    def they_agree(self) -> None:
        for question in ("done", "running", "cancelled"):
            self.both(lambda future, question=question: getattr(future, question)())
        assert self.calls[0] == self.calls[1]
        self.both(lambda future: future._state)
        if self.futures[1].done():
            self.both(lambda future: future.result(0))
            self.both(lambda future: future.exception(0))
            self.both(lambda future: repr(future).split(" state=")[1])


FutureMachine.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestFuture = FutureMachine.TestCase
