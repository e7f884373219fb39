"""Every workload runs to its end and says what it measured; no figure is judged here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benches import run, sides
from benches.__main__ import main
from benches.areas import AREAS, workloads
from benches.crew import Crew
from benches.multiprocessing.team import Team
from benches.results import rows_by_name
from benches.run import Bench
from benches.targets import TARGETS

SMALL = [
    "submit-all",
    "one-at-a-time",
    "map",
    pytest.param("first-completed", marks=pytest.mark.slow),
    "memory",
    "eight-threads",
    "asyncio",
    *AREAS["threading"].workloads,
    *AREAS["queue"].workloads,
    *AREAS["multiprocessing"].workloads,
]
#: Those of worker processes whose rows have a ratio; several run whole programs.
PROCESSES = [
    "process-submit-all",
    "process-one-at-a-time",
    "process-paused",
    "process-100us",
    pytest.param("process-hogs", marks=pytest.mark.slow),
    "process-map",
    "process-mixed",
    pytest.param("process-batches", marks=pytest.mark.slow),
    pytest.param("process-array", marks=pytest.mark.slow),
    pytest.param("process-message", marks=pytest.mark.slow),
    pytest.param("process-start", marks=pytest.mark.slow),
    "process-eight-threads",
    pytest.param("process-memory", marks=pytest.mark.slow),
]


class Tiny(Bench):
    """A run that only shows that the workloads work."""

    def size(self, operations: int) -> int:
        return max(1, operations // 1_000)

    def repeats(self, standard: int = run.REPEATS) -> int:
        return 1


TINY = Tiny(sides.stdlib(), sides.stdlib_again(), "quick", rivals=("stdlib", "pool"))


@pytest.mark.parametrize("name", SMALL)
def test_a_workload_gives_rows_for_both_sides(name: str) -> None:
    check_rows(name)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_workload_of_processes_gives_rows_for_both_sides(name: str) -> None:
    if name in ("process-array", "process-memory"):
        pytest.importorskip("numpy")
    check_rows(name)


def check_rows(name: str) -> None:
    _, work = workloads()[name]
    rows = rows_by_name(work(TINY))
    assert rows
    for row in rows.values():
        assert row.value > 0
        assert row.baseline_value is not None
        assert row.ratio is not None


def test_every_target_belongs_to_a_workload() -> None:
    families = tuple(workloads())
    assert [name for name in TARGETS if not name.startswith(families)] == []


def test_a_pool_is_handed_out_with_all_its_threads_running() -> None:
    with sides.stdlib().pool(3) as pool:
        assert len(pool._threads) == 3  # type: ignore[attr-defined]


def test_a_crew_works_again_and_ends_when_closed() -> None:
    done: list[int] = []
    crew = Crew([lambda number=number: done.append(number) for number in range(4)])  # type: ignore[misc]
    crew.run()
    crew.run()
    crew.close()
    assert sorted(done) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert not any(thread.is_alive() for thread in crew.threads)


def test_what_a_thread_of_the_crew_raises_ends_the_run() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    crew = Crew([fail, int])
    with pytest.raises(ZeroDivisionError):
        crew.run()
    crew.close()


def test_what_a_process_of_the_team_raises_ends_the_run() -> None:
    team = Team(sides.stdlib_again(), [(divmod, (1, 1)), (divmod, (1, 0))])
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        team.run()
    team.close()


def test_every_shown_row_is_measured_and_belongs_to_a_workload() -> None:
    for area in AREAS.values():
        families = tuple(area.workloads)
        assert [name for name in area.shown if not name.startswith(families)] == []


def test_the_command_writes_the_file_that_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "figures.json"
    status = main(["--quick", "--against-itself", "--only", "map", "--json", str(path)])
    assert status == 0
    assert [row["name"] for row in json.loads(path.read_text("utf-8"))["rows"]] == ["map"]
    assert "map of no-ops" in capsys.readouterr().out


def test_an_area_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["thraeding"])
    assert "no such area: thraeding" in capsys.readouterr().err
