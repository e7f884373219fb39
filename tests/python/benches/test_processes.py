"""The rivals of the process pool behind their one interface, and the schedule that nobody can be quicker than."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest

from benches import sides
from benches.areas import AREAS, workloads
from benches.plot import ratios
from benches.processes import rivals, scheduling
from benches.processes.jobs import pause, same
from benches.processes.starting import PROGRAM, replacement
from benches.run import WORKERS, Bench
from benches.table import render
from tests.python.benches.reports import report, row
from tests.python.benches.test_workloads import TINY

AREA = AREAS["processes"]
QUICK = [rivals.side(sides.stdlib()), *(rival for rival in rivals.OTHERS.values() if rival.key != "ray")]


@pytest.mark.slow
@pytest.mark.parametrize("rival", [*QUICK, rivals.OTHERS["ray"]], ids=lambda rival: rival.key)
# Some of these libraries fork, leave sockets to the collector, or do what CPython has deprecated.
@pytest.mark.filterwarnings("ignore")
def test_every_library_does_what_the_workloads_ask_for(rival: rivals.Rival) -> None:
    if not rival.is_installed:
        pytest.skip(f"{rival.library} is not installed")
    with closing(rival.start(WORKERS)) as pool:
        pool.warmed(WORKERS)
        assert pool.call(same, 5) == 5
        assert pool.spread(same, range(20)) == list(range(20))
        assert os.getpid() not in pool.spread(pause, [0.0])
        pool.flood(10)
    assert rival.baseline


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [
        rival.key for rival, _ in rivals.present(replace(TINY, rivals=None), {"stdlib": 1, "loky": 1})
    ] == ["stdlib"]
    (note,) = AREA.notes(TINY)
    assert "loky" in note
    assert "multiprocessing" not in note


def test_only_the_chosen_rivals_are_met() -> None:
    bench = Bench(sides.stdlib(), sides.stdlib_again(), rivals=["pool"])
    assert [rival.key for rival, _ in rivals.present(bench, {"stdlib": 1, "pool": 4})] == ["pool"]


def test_a_rival_that_does_fewer_operations_is_charged_for_as_many() -> None:
    samples = {"stdlib": 1_000, "again": 5_000}

    def clock(pool: object, count: int) -> int:
        return samples["stdlib"] * count if count == 2 else samples["again"] * count

    bench = Bench(sides.stdlib(), sides.stdlib_again(), "quick")
    (found,) = rivals.compare_figures(
        bench, "process-x", "x", clock, operations=10, rivals={"stdlib": 5}, workers=1, repeats=1
    )
    assert (found.name, found.title) == ("process-x-stdlib", "x, against stdlib")
    assert (found.baseline_value, found.value, found.ratio) == (1.0, 5.0, 0.2)


def test_greedy_list_scheduling_gives_each_task_to_whoever_is_free_first() -> None:
    assert scheduling.makespan([3, 1, 1, 1, 2], 2) == 5
    assert scheduling.makespan([1, 1, 4], 2) == 5
    assert scheduling.makespan([], 2) == 0


def test_the_mixed_tasks_have_a_heavy_tail_and_are_always_the_same() -> None:
    durations = scheduling.mixed_durations(scheduling.TOTAL)
    assert durations == scheduling.mixed_durations(scheduling.TOTAL)
    assert sum(durations) == pytest.approx(scheduling.TOTAL)
    assert min(durations) == pytest.approx(scheduling.SHORT, rel=0.1)
    assert max(durations) == scheduling.LONGEST
    longest = sorted(durations)[-len(durations) // 50 :]
    assert sum(longest) > scheduling.TOTAL / 2


@pytest.mark.slow
def test_an_idle_pool_has_both_figures() -> None:
    (found,) = workloads()["process-idle"][1](TINY)
    assert found.value >= 0
    assert found.ratio is None


def test_a_worker_is_replaced_by_raddle_and_not_by_the_stdlib() -> None:
    assert list(replacement(TINY)) == []
    (found,) = replacement(replace(TINY, candidate=sides.raddle()))
    assert found.value > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_sharing_is_measured_where_there_is_somebody_to_share_with() -> None:
    for library in ("numpy", "joblib"):
        pytest.importorskip(library)
    _, work = workloads()["process-share"]
    assert list(work(TINY)) == []
    (found,) = work(replace(TINY, candidate=sides.raddle(), rivals=["joblib"]))
    assert found.name == "process-share-joblib"
    assert found.ratio is not None


@pytest.mark.parametrize("what", ["first", "later"])
def test_the_program_prints_a_figure(what: str) -> None:
    command = [sys.executable, str(PROGRAM), "forkserver", what]
    assert int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout) > 0


def test_the_table_has_a_column_for_each_rival_that_was_met() -> None:
    met = report(
        "3.11", row("process-map-pool", 1.3), row("process-map-stdlib", 400.0), row("process-idle", None)
    )
    lines = render(AREA, [met, report("3.14", row("process-map-pool", 2.0))]).splitlines()
    assert lines[0].endswith("| stdlib | `mp.Pool` |")
    assert lines[2] == "| `map` of 100,000 no-ops, no chunk size given | 400 × | 1.30 × |"
    assert "of CPython 3.11.1; 2 workers, 2 processors" in lines[-1]


def test_the_plot_names_the_rival_at_each_bar() -> None:
    drawing = ratios(AREA, [report("3.11", row("process-map-pool", 1.3), row("process-map-stdlib", 400.0))])
    assert "400 × stdlib" in drawing
    assert "1.30 × mp.Pool" in drawing
