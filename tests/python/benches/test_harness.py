"""The figures are what the samples say: pairs in turn, medians of paired ratios, quartiles."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benches.harness import Pairs, costs, figures_in_turn, in_turn, quartiles, rotate, sample


class FakeClock:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def work(self, *durations: int, log: list[str] | None = None, name: str = "") -> Callable[[], None]:
        """Makes work that takes the given nanoseconds, one after the other."""
        remaining = iter(durations)

        def run() -> None:
            self.now += next(remaining)
            if log is not None:
                log.append(name)

        return run


def test_a_sample_is_the_time_of_the_work_alone() -> None:
    clock = FakeClock()
    clock.now = 1_000
    assert sample(clock.work(250), clock) == 250


def test_sides_run_in_turn_after_a_warm_up_that_is_not_counted() -> None:
    clock, log = FakeClock(), []
    pairs = in_turn(
        clock.work(900, 10, 20, log=log, name="A"),
        clock.work(900, 1, 2, log=log, name="B"),
        repeats=2,
        clock=clock,
    )
    assert log == ["A", "B"] * 3
    assert pairs == Pairs((10, 20), (1, 2))


def test_drift_that_slows_both_sides_leaves_the_ratio_alone() -> None:
    pairs = Pairs(baseline=(100, 200, 400), candidate=(10, 20, 40))
    assert pairs.ratio == 10
    assert pairs.spread == (10, 10)


def test_one_disturbed_sample_does_not_move_the_ratio() -> None:
    pairs = Pairs(baseline=(100, 100, 100, 100, 100), candidate=(50, 50, 5_000, 50, 50))
    assert pairs.ratio == 2


def test_times_are_medians_for_each_operation_in_microseconds() -> None:
    pairs = Pairs(baseline=(9_000, 10_000, 90_000), candidate=(1_000, 2_000, 3_000))
    assert pairs.per_operation(10) == (1.0, 0.2)


@pytest.mark.parametrize(
    ("values", "expected"),
    [((3.0,), (3.0, 3.0)), ((1.0, 2.0, 3.0, 4.0, 5.0), (2.0, 4.0)), ((5.0, 1.0, 3.0, 2.0, 4.0), (2.0, 4.0))],
)
def test_quartiles(values: tuple[float, ...], expected: tuple[float, float]) -> None:
    assert quartiles(values) == expected


@pytest.mark.parametrize(("baseline", "candidate"), [((), ()), ((1, 2), (1,))])
def test_samples_without_a_partner_are_refused(baseline: tuple[int, ...], candidate: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="in pairs"):
        Pairs(baseline, candidate)


def test_a_rotation_runs_every_work_once_a_round() -> None:
    clock = FakeClock()
    works = [clock.work(9, 1, 2), clock.work(9, 10, 20), clock.work(9, 100, 200)]
    assert rotate(works, repeats=2, clock=clock) == [(1, 2), (10, 20), (100, 200)]


def test_costs_compare_operations_within_a_round() -> None:
    slow_second_round = [(10, 100), (20, 200), (400, 4_000)]
    assert costs(slow_second_round, [10, 10, 100]) == [1, 2, 4]


def test_figures_that_work_takes_of_itself_are_paired_in_turn() -> None:
    theirs, ours = iter([900, 10, 20]), iter([900, 1, 4])
    pairs = figures_in_turn(lambda: next(theirs), lambda: next(ours), repeats=2)
    assert pairs == Pairs((10, 20), (1, 4))
