"""A series is measured in rotation, and judged by its fastest point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack

import pytest

from benches import run, sides
from benches.harness import Work
from benches.results import Row
from benches.run import Bench, Point
from tests.python.benches.reports import row

POINTS = [row("a", 5.0, 2.0), row("b", 5.0, 0.5), row("c", 5.0, 1.0)]


@pytest.mark.parametrize(("judge", "ratio", "value"), [(run.evenness, 0.25, 2.0), (run.growth, 0.5, 1.0)])
def test_series_are_held_against_their_fastest_point(
    judge: Callable[[str, str, Sequence[Row]], Row], ratio: float, value: float
) -> None:
    judged = judge("series", "a series", POINTS)
    assert (judged.ratio, judged.baseline_value, judged.value) == (ratio, 0.5, value)


def test_a_series_is_free_of_the_machines_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    def slower_each_round(works: Sequence[Work], *, repeats: int) -> list[tuple[int, ...]]:
        assert [len(works), repeats] == [4, 3]
        quick_round = (10_000, 1_000, 20_000, 4_000)  # theirs, ours, theirs of ten times as many, ours
        return [(time, 3 * time, 9 * time) for time in quick_round]

    def nothing(_: sides.Side, pool: Executor) -> None:
        pool.submit(int).result()

    monkeypatch.setattr(run, "rotate", slower_each_round)
    bench = Bench(sides.stdlib(), sides.stdlib_again(), "quick")
    points = [Point("one", "one", nothing, 1), Point("ten", "ten", nothing, 10)]
    one, ten = run.series(bench, points, repeats=3)
    assert (one.baseline_value, one.value, one.ratio) == (30.0, 3.0, 10.0)
    assert (ten.baseline_value, ten.value, ten.ratio) == (6.0, pytest.approx(1.2), 5.0)


def test_a_contest_prepares_each_side_once_and_ends_what_it_began() -> None:
    log: list[str] = []

    def prepare(side: sides.Side, stack: ExitStack) -> Work:
        log.append(f"prepare {side.name}")
        stack.callback(log.append, f"end {side.name}")
        return lambda: log.append(side.name)

    bench = Bench(sides.stdlib(), sides.stdlib_again(), "quick")
    found = bench.contest("name", "title", prepare, operations=2, repeats=1)
    assert log == ["prepare stdlib", "prepare again", *["stdlib", "again"] * 2, "end again", "end stdlib"]
    assert (found.name, found.baseline, found.operations, found.repeats) == ("name", "stdlib", 2, 1)


def test_a_figure_is_what_the_work_says_it_is() -> None:
    def prepare(side: sides.Side, _: ExitStack) -> Callable[[], int]:
        return lambda: 3_000 if side.name == "stdlib" else 1_000

    found = Bench(sides.stdlib(), sides.stdlib_again()).figure("name", "title", prepare)
    assert (found.baseline_value, found.value, found.ratio) == (3.0, 1.0, 3.0)


def test_sides_know_their_modules() -> None:
    for side in (sides.stdlib(), sides.stdlib_again()):
        names = [side.futures.__name__, side.threading.__name__, side.queue.__name__]
        assert names == ["concurrent.futures", "threading", "queue"]
    ours = sides.Side("raddle", "raddle 0", "raddle")
    assert ours.futures.__name__ == "raddle.futures"
