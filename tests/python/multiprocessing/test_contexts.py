"""Contexts start processes as the stdlib's do, and make Raddle's primitives."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from typing import Any

import pytest

from raddle import multiprocessing as ours
from raddle.multiprocessing import context, queues, synchronize

METHODS = ["fork", "spawn", "forkserver"]


def test_the_default_method_is_the_interpreters() -> None:
    code = (
        "import multiprocessing as theirs; from raddle import multiprocessing as ours\n"
        "assert ours.get_start_method(allow_none=True) is None\n"
        "assert ours.get_all_start_methods() == theirs.get_all_start_methods()\n"
        "assert ours.get_start_method() == theirs.get_start_method()\n"
        "ours.set_start_method('spawn', force=True)\n"
        "assert theirs.get_start_method() == 'spawn' == ours.get_context().get_start_method()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("method", METHODS)
def test_a_context_makes_raddles_primitives(method: str) -> None:
    made: Any = ours.get_context(method)
    theirs: Any = multiprocessing.get_context(method)
    assert isinstance(made, type(theirs))
    assert made.Process is theirs.Process
    assert type(made.Lock()) is synchronize.Lock
    assert type(made.RLock()) is synchronize.RLock
    assert type(made.Semaphore()) is synchronize.Semaphore
    assert type(made.BoundedSemaphore()) is synchronize.BoundedSemaphore
    assert type(made.Event()) is synchronize.Event
    assert type(made.Condition()) is synchronize.Condition
    assert type(made.Barrier(1)) is synchronize.Barrier
    assert type(made.Queue()) is queues.Queue
    assert type(made.JoinableQueue()) is queues.JoinableQueue
    assert type(made.SimpleQueue()) is queues.SimpleQueue
    assert type(made.Value("i").get_lock()) is synchronize.RLock


def test_contexts_lead_to_each_other() -> None:
    assert ours.get_context("spawn").get_context("fork") is ours.get_context("fork")
    assert isinstance(ours.get_context("fork"), context.ForkContext)
    with pytest.raises(ValueError, match="cannot find context"):
        ours.get_context("fruit")
    with pytest.raises(ValueError, match="cannot set start method"):
        ours.get_context("fork").set_start_method("spawn")
