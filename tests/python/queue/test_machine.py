"""Random operations on Raddle's queues and on the stdlib's, which must say the same."""

from __future__ import annotations

import queue as stdlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import raddle.queue
from tests.python.queue.support import hooked, touched

KINDS = ("Queue", "LifoQueue", "PriorityQueue")
ITEMS = st.one_of(st.integers(-3, 3), st.integers(), st.floats(allow_nan=False), st.booleans())
SHUTDOWN = sys.version_info >= (3, 13)


def outcome(call: Callable[[], object]) -> object:
    """Return the result, or the name and the words of what was raised."""
    try:
        result = call()
    except Exception as error:
        return type(error).__name__, str(error)
    return repr(result)


class Machine(RuleBasedStateMachine):
    """Both queues do the same, step by step."""

    form = "native"

    @initialize(kind=st.sampled_from(KINDS), maxsize=st.integers(-1, 4))
    def make(self, kind: str, maxsize: int) -> None:
        base = getattr(raddle.queue, kind)
        form: Any = {"native": base, "hooked": hooked(base), "touched": touched(base)}[self.form]
        self.ours = form(maxsize)
        self.theirs: Any = getattr(stdlib, kind)(maxsize)

    def both(self, call: Callable[[Any], object]) -> None:
        assert outcome(lambda: call(self.ours)) == outcome(lambda: call(self.theirs))

    @rule(item=ITEMS, block=st.booleans())
    def put(self, item: object, block: bool) -> None:
        self.both(lambda queue: queue.put(item, block, 0))

    @rule(item=ITEMS)
    def put_nowait(self, item: object) -> None:
        self.both(lambda queue: queue.put_nowait(item))

    @rule(wrong=st.sampled_from(["text", None, (1,), b""]))
    def put_what_may_not_compare(self, wrong: object) -> None:
        if isinstance(self.theirs, stdlib.PriorityQueue):
            # The stdlib's would keep the item, and go on with a broken heap.
            before = outcome(self.ours.qsize)
            if self.ours.qsize():
                assert isinstance(outcome(lambda: self.ours.put(wrong, False)), tuple)
                assert outcome(self.ours.qsize) == before

    @rule(block=st.booleans())
    def get(self, block: bool) -> None:
        self.both(lambda queue: queue.get(block, 0))

    @rule()
    def get_nowait(self) -> None:
        self.both(lambda queue: queue.get_nowait())

    @rule(timeout=st.sampled_from([-1, -0.5]))
    def wrong_timeout(self, timeout: float) -> None:
        self.both(lambda queue: queue.put(1, True, timeout))
        self.both(lambda queue: queue.get(True, timeout))

    @rule()
    def task_done(self) -> None:
        self.both(lambda queue: queue.task_done())

    @rule()
    def join(self) -> None:
        if not self.theirs.unfinished_tasks:
            self.both(lambda queue: queue.join())

    @rule(maxsize=st.one_of(st.integers(-1, 5), st.just(2.5)))
    def change_maxsize(self, maxsize: float) -> None:
        self.ours.maxsize = self.theirs.maxsize = maxsize

    @rule()
    def touch(self) -> None:
        assert list(self.ours.queue) == list(self.theirs.queue)

    @rule()
    def clear(self) -> None:
        for queue in (self.ours, self.theirs):
            with queue.mutex:
                queue.queue.clear()

    @rule(n=st.integers(0, 4))
    def get_many(self, n: int) -> None:
        if self.theirs.empty():
            return
        expected = []
        while len(expected) < n and not self.theirs.empty():
            expected.append(self.theirs.get())
        assert repr(self.ours.get_many(n)) == repr(expected)

    @rule(items=st.lists(ITEMS, max_size=4))
    def put_many(self, items: list[Any]) -> None:
        left = list(items)
        error = None
        try:
            while left:
                self.theirs.put_nowait(left[0])
                del left[0]
        except Exception as raised:
            error = type(raised)
        if error is None:
            self.ours.put_many(items)
            return
        with pytest.raises(error) as ours:
            self.ours.put_many(items, False)
        assert repr(list(ours.value.unput)) == repr(left)  # type: ignore[attr-defined]

    if SHUTDOWN:

        @rule(immediate=st.booleans())
        def shut_down(self, immediate: bool) -> None:
            self.both(lambda queue: queue.shutdown(immediate))

    @invariant()
    def both_look_the_same(self) -> None:
        if not hasattr(self, "theirs"):
            return
        looks: list[Callable[[Any], object]] = [
            lambda queue: queue.qsize(),
            lambda queue: queue.empty(),
            lambda queue: queue.full(),
            lambda queue: queue.maxsize,
            lambda queue: queue.unfinished_tasks,
        ]
        if SHUTDOWN:
            looks.append(lambda queue: queue.is_shutdown)
        for look in looks:
            self.both(look)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["native", "hooked", "touched"])
def test_the_stdlib_agrees(form: str) -> None:
    machine = type("Machine", (Machine,), {"form": form})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
