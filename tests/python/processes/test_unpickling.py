"""What can't be unpickled where it was sent to costs its task, and says why."""

from __future__ import annotations

import os
from concurrent.futures.process import BrokenProcessPool

import pytest

import raddle
from raddle.futures import ProcessPoolExecutor
from tests.python.processes.tasks import Refusing

LONG = 60.0


@pytest.mark.parametrize("raised", [LookupError, SystemExit])
def test_arguments_that_do_not_arrive(raised: type[BaseException]) -> None:
    with ProcessPoolExecutor(1) as pool:
        pid = pool.submit(os.getpid)
        error = pool.submit(id, Refusing(raised)).exception(LONG)
        assert type(error) is raddle.NotDeserializable
        assert isinstance(error, BrokenProcessPool)
        assert "what the task needs could not be unpickled in its worker" in str(error)
        assert type(error.__cause__) is raised
        # The worker is none the worse.
        assert pool.submit(os.getpid).result(LONG) == pid.result(LONG)


@pytest.mark.parametrize("raised", [LookupError, SystemExit])
def test_results_that_do_not_arrive(raised: type[BaseException]) -> None:
    with ProcessPoolExecutor(1) as pool:
        future = pool.submit(Refusing, raised)
        with pytest.raises(raddle.NotDeserializable, match="what the task returned") as caught:
            future.result(LONG)
        assert type(caught.value.__cause__) is raised
        assert pool.submit(int).result(LONG) == 0


def test_items_and_results_of_a_map() -> None:
    with ProcessPoolExecutor(1) as pool:
        for fn, items in ((id, [Refusing(LookupError)]), (Refusing, [LookupError])):
            (error,) = pool.map(fn, items, return_exceptions=True, chunksize=1)
            assert isinstance(error, raddle.NotDeserializable)
            assert isinstance(error.__cause__, LookupError)


def test_what_the_task_itself_raises_is_as_ever() -> None:
    with ProcessPoolExecutor(1) as pool:
        assert type(pool.submit(int, "x").exception(LONG)) is ValueError
