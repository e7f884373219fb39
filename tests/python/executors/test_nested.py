"""A task that waits for tasks of its own executor, which has one worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import raddle
from tests.python.executors import jobs
from tests.python.executors.jobs import LONG
from tests.python.futures.support import until

INSIDE = [
    jobs.wait_inside,
    jobs.as_completed_inside,
    jobs.map_inside,
    jobs.map_with_options_inside,
    jobs.exception_inside,
]


def test_result(single: Any) -> None:
    assert single.submit(jobs.fibonacci, single, 7).result(LONG) == 13


@pytest.mark.parametrize("inside", INSIDE, ids=lambda job: job.__name__)
def test_other_ways_to_wait(single: Any, inside: Callable[[Any], int]) -> None:
    assert single.submit(inside, single).result(LONG) == 3


def test_compensation_does_not_outlive_the_wait(single: Any, journal: jobs.Journal) -> None:
    assert single.submit(jobs.nested, single, 8).result(LONG) == 8
    until(lambda: single.stats().busy == 0 and single.stats().blocked == 0)
    futures = [single.submit(journal.note, number) for number in range(100)]
    assert raddle.wait(futures, LONG).not_done == set()
    assert journal.lines() == [str(number) for number in range(100)]


def test_a_task_that_fills_its_own_bounded_queue_goes_on(make_pool: Callable[..., Any]) -> None:
    pool = make_pool(1, max_pending=1)
    assert pool.submit(jobs.submit_many, pool, 20).result(LONG) == 2**20 - 1
