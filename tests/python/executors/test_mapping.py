"""`map`, over the executor and over a view with options: both keep the same promises."""

from __future__ import annotations

import contextvars
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FuturesTimeoutError
from pathlib import Path
from typing import Any

import pytest

import raddle
from tests.python.executors import jobs
from tests.python.executors.gates import Gate
from tests.python.executors.jobs import LONG, Journal
from tests.python.futures.support import until

VIEWS = ["plain", "options"]


def seen(pool: Any, how: str) -> Any:
    return pool if how == "plain" else pool.options(retries=1)


@pytest.fixture(params=VIEWS)
def view(request: pytest.FixtureRequest, pool: Any) -> Any:
    """Two workers, seen without options and with."""
    return seen(pool, request.param)


@pytest.fixture(params=VIEWS)
def single_view(request: pytest.FixtureRequest, single: Any) -> Any:
    """One worker, likewise."""
    return seen(single, request.param)


class Source:
    """An input that remembers what has been read."""

    def __init__(self, items: Iterator[Any], error: BaseException | None = None) -> None:
        self.read: list[Any] = []
        self._items = items
        self._error = error

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self.read.append(item)
            yield item
        if self._error is not None:
            raise self._error


def test_results_come_in_the_order_of_the_items(view: Any) -> None:
    assert list(view.map(abs, range(-500, 0))) == list(range(500, 0, -1))


def test_several_inputs_end_with_the_shortest(view: Any) -> None:
    assert list(view.map(pow, [2, 3, 4], itertools.count(1))) == [2, 9, 64]
    assert list(view.map(jobs.gather, [(1, 2), (3, 4)])) == [(((1, 2),), {}), (((3, 4),), {})]


@pytest.mark.parametrize(
    "options", [{}, {"buffersize": 2}, {"ordered": False}, {"chunksize": 3}, {"timeout": 1}]
)
def test_empty_inputs(view: Any, options: dict[str, Any]) -> None:
    assert list(view.map(abs, [], **options)) == []
    assert list(view.map(pow, [1], [], **options)) == []
    assert list(view.map(abs, **options)) == []


@pytest.mark.parametrize("chunksize", [1, 7, 1000, None])
@pytest.mark.parametrize("ordered", [True, False])
def test_the_chunk_size_changes_no_result(view: Any, chunksize: int | None, ordered: bool) -> None:
    results = list(view.map(abs, range(100), chunksize=chunksize, ordered=ordered))
    assert (results if ordered else sorted(results)) == list(range(100))


def test_any_order_yields_what_is_there(view: Any, gate: Gate) -> None:
    items = view.map(gate.door.unless_zero, range(4), ordered=False, chunksize=1)
    assert sorted(itertools.islice(items, 3)) == [1, 2, 3]
    gate.open()
    assert list(items) == [0]


def test_the_input_is_read_no_further_than_the_buffer(view: Any) -> None:
    source = Source(itertools.count())
    items = view.map(abs, source, buffersize=3)
    assert source.read == [0, 1, 2]
    for taken in range(1, 50):
        assert next(items) == taken - 1
        assert len(source.read) == taken + 3
    items.close()
    assert len(source.read) == 52
    assert list(items) == []


@pytest.mark.parametrize("how", VIEWS)
def test_max_pending_bounds_the_input(make_pool: Callable[..., Any], how: str) -> None:
    source = Source(itertools.count())
    items = seen(make_pool(1, max_pending=4), how).map(abs, source)
    assert len(source.read) == 4
    assert next(items) == 0
    assert len(source.read) == 5
    items.close()


def test_an_infinite_input_in_any_order(view: Any) -> None:
    items = view.map(abs, itertools.count(), buffersize=5, ordered=False)
    found = set(itertools.islice(items, 200))
    assert len(found) == 200
    assert max(found) < 205
    items.close()


def test_everything_is_read_at_once_without_a_buffer(view: Any) -> None:
    source = Source(iter(range(100)))
    view.map(abs, source)
    assert len(source.read) == 100


class TestErrors:
    def test_an_item_that_raises_ends_the_iteration(self, view: Any) -> None:
        items = view.map(jobs.quotient, [1, 2, 0, 3])
        assert [next(items), next(items)] == [6, 3]
        with pytest.raises(ZeroDivisionError):
            next(items)
        assert list(items) == []

    @pytest.mark.parametrize("ordered", [True, False])
    @pytest.mark.parametrize("chunksize", [1, 3, None])
    def test_or_is_yielded(self, view: Any, ordered: bool, chunksize: int | None) -> None:
        outcomes = list(
            view.map(int, ["1", "x", "3"], return_exceptions=True, ordered=ordered, chunksize=chunksize)
        )
        assert sorted(map(type, outcomes), key=str) == [ValueError, int, int]
        if ordered:
            assert (outcomes[0], outcomes[2]) == (1, 3)

    def test_an_input_that_raises_at_once(self, view: Any) -> None:
        with pytest.raises(KeyError, match="input"):
            view.map(abs, Source(iter([1, 2]), KeyError("input")))
        with pytest.raises(TypeError):
            view.map(abs, 5)

    @pytest.mark.parametrize("buffersize", [1, 2, 3, 4])
    def test_an_input_that_raises_later_loses_no_result(self, view: Any, buffersize: int) -> None:
        items = view.map(abs, Source(iter([1, 2, 3]), KeyError("input")), buffersize=buffersize)
        assert [next(items) for _ in range(3)] == [1, 2, 3]
        with pytest.raises(KeyError, match="input"):
            next(items)
        with pytest.raises(StopIteration):
            next(items)

    def test_an_input_that_fails_cancels_what_was_read(self, single_view: Any, gate: Gate) -> None:
        with pytest.raises(KeyError):
            single_view.map(gate.door, Source(iter(range(50)), KeyError("input")), chunksize=1)
        gate.open()
        assert single_view.submit(pow, 2, 3).result(LONG) == 8
        assert gate.entries <= 1

    def test_timeout(self, single_view: Any, gate: Gate) -> None:
        items = single_view.map(gate.door.with_others, range(2), timeout=0.5, chunksize=1)
        assert next(items) == 0
        with pytest.raises(FuturesTimeoutError):
            next(items)
        assert list(items) == []

    @pytest.mark.parametrize("ordered", [True, False])
    def test_timeout_of_nothing(self, view: Any, gate: Gate, ordered: bool) -> None:
        with pytest.raises(FuturesTimeoutError):
            next(view.map(gate.door, [1], timeout=0, ordered=ordered))

    @pytest.mark.parametrize(
        ("error", "options"),
        [
            (ValueError, {"chunksize": 0}),
            (ValueError, {"buffersize": 0}),
            (ValueError, {"buffersize": -1}),
            (TypeError, {"buffersize": 1.5}),
            (TypeError, {"buffersize": True}),
            (TypeError, {"chunksize": 1.5}),
            (TypeError, {"chunksize": True}),
            (ValueError, {"timeout": float("nan")}),
            (TypeError, {"timeout": "1"}),
        ],
        ids=str,
    )
    def test_arguments(self, view: Any, error: type[Exception], options: dict[str, Any]) -> None:
        with pytest.raises(error):
            view.map(abs, [1], **options)


@pytest.mark.parametrize(("begun", "end"), [(False, "close"), (True, "close"), (True, "drop")])
@pytest.mark.parametrize("ordered", [True, False])
def test_ending_early_cancels_what_has_not_begun(
    single_view: Any, gate: Gate, begun: bool, end: str, ordered: bool
) -> None:
    """The first item passes without a gate, the second stands at it while the map ends."""
    inputs = range(50) if begun else range(1, 50)
    items = single_view.map(gate.door.with_others, inputs, ordered=ordered, chunksize=1)
    if begun:
        assert next(items) == 0
    gate.await_entry()
    if end == "close":
        items.close()
    else:
        del items
    gate.open()
    assert single_view.submit(pow, 2, 3).result(LONG) == 8
    assert gate.entries == 1


def test_an_input_that_ends_its_own_map(view: Any) -> None:
    maps: list[Any] = []

    def inputs() -> Iterator[int]:
        yield -1
        maps[0].close()
        yield -2

    maps.append(view.map(abs, inputs(), buffersize=1))
    assert list(maps[0]) == [1]
    assert view.submit(pow, 2, 3).result(LONG) == 8


def test_an_item_that_raises_stop_iteration_does_not_end_the_results(view: Any) -> None:
    results = view.map(next, [iter([5]), iter([]), iter([7])])
    assert next(results) == 5
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        next(results)
    assert isinstance(caught.value.__cause__, StopIteration)


@pytest.mark.parametrize("progress", [True, False])
def test_without_an_interest_in_results_every_call_is_made(
    single_view: Any, journal: Journal, progress: bool
) -> None:
    single_view.map(journal.note, range(100), progress=progress)
    until(lambda: len(journal.lines()) == 100)


def test_each_item_has_the_context_and_shares_no_changes(view: Any) -> None:
    for value in ("unset", "caller's"):
        context = contextvars.copy_context()
        if value != "unset":
            context.run(jobs.VARIABLE.set, value)
        assert context.run(lambda: list(view.map(jobs.change_variable, range(20)))) == [value] * 20


def test_retries_hold_for_each_item(pool: Any, tmp_path: Path) -> None:
    items = pool.options(retries=2).map(jobs.flaky_item, itertools.repeat(str(tmp_path)), range(12))
    assert list(items) == list(range(12))


def test_timeouts_hold_for_each_item(pool: Any, gate: Gate) -> None:
    outcomes = list(pool.options(timeout=0.02).map(gate.door, [1, 2], return_exceptions=True))
    assert [type(outcome) for outcome in outcomes] == [raddle.TaskTimeout] * 2
    assert list(pool.map(abs, [-1])) == [1]


@pytest.mark.parametrize("library", ["tqdm", "rich"])
def test_progress_follows_the_results(
    view: Any, library: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(library)
    if library == "rich":
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert list(view.map(abs, range(7), progress=True)) == list(range(7))
    captured = capsys.readouterr()
    assert captured.out == "", "the program's output is its own"
    assert "7/7" in captured.err
    assert "items/s" in captured.err
    view.map(abs, range(3), progress=True).close()
    with pytest.raises(ZeroDivisionError):
        list(view.map(jobs.quotient, [0], progress=True))


def test_progress_without_a_library_to_draw_it(
    view: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("tqdm", "tqdm.auto", "rich", "rich.progress"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"raddle\["):
        view.map(journal.note, range(3), progress=True)
    view.submit(int).result(LONG)
    assert journal.lines() == []


@pytest.mark.parametrize("options", [{}, {"ordered": False}, {"buffersize": 50}], ids=str)
def test_several_threads_share_an_iteration(view: Any, options: dict[str, Any]) -> None:
    items = view.map(abs, range(2000), **options)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.extend(items)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert sorted(found) == list(range(2000))


def test_many_items_through_a_small_buffer(view: Any) -> None:
    assert sum(view.map(abs, range(20_000), buffersize=100)) == sum(range(20_000))
