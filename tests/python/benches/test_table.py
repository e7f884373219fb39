"""The README's table says what the results say, and the check notices when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from benches.areas import AREAS
from benches.generated import bring_up_to_date
from benches.table import insert, markers, render
from tests.python.benches.reports import report, row

FUTURES, THREADING = AREAS["futures"], AREAS["threading"]
BEGIN, END = markers(FUTURES)


def test_the_table_has_a_row_for_each_work_and_a_column_for_each_interpreter() -> None:
    table = render(
        FUTURES,
        [report("3.11", row("submit-all", 21.4), row("map", 42.0)), report("3.14", row("map", 20.0))],
    )
    lines = table.splitlines()
    assert lines[0].endswith("| 3.11 | 3.14 |")
    assert lines[2:4] == [
        "| submit all, then collect | 21 × | – |",
        "| `map`, no chunk size given | 42 × | 20 × |",
    ]


def test_the_caption_names_both_sides_and_the_processors() -> None:
    caption = render(FUTURES, [report("3.11"), report("3.14")]).splitlines()[-1]
    assert "raddle 0.1.0 against" in caption
    assert "CPython 3.11.1, 3.14.1" in caption
    assert "2 processors" in caption


def test_each_area_has_its_rows_its_peer_and_its_place() -> None:
    table = render(THREADING, [report("3.11", row("lock-with", 1.5), row("submit-all", 20.0))])
    assert "| `with lock` | 1.50 × |" in table
    assert "submit" not in table
    assert "against `threading` of CPython 3.11.1; 2 processors" in table
    begin, end = markers(THREADING)
    document = f"{BEGIN}\nold\n{END}\n{begin}\n{end}\n"
    assert insert(document, THREADING, table) == f"{BEGIN}\nold\n{END}\n{begin}\n\n{table}\n\n{end}\n"


def test_no_times_reach_the_readme() -> None:
    assert "µs" not in render(FUTURES, [report("3.11", row("submit-all", 21.4))])


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    document = f"# Title\n{BEGIN}\nold\n{END}\nrest\n"
    once = insert(document, FUTURES, "| new |")
    assert once == f"# Title\n{BEGIN}\n\n| new |\n\n{END}\nrest\n"
    assert insert(once, FUTURES, "| new |") == once


@pytest.mark.parametrize("document", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_document_without_its_markers_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="bench:futures:begin"):
        insert(document, FUTURES, "")


def test_the_check_shows_the_difference_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "README.md"
    path.write_text("21 ×\n", encoding="utf-8")
    assert bring_up_to_date({path: "22 ×\n"}, check=True, command="make it") == 1
    assert path.read_text("utf-8") == "21 ×\n"
    told = capsys.readouterr().err
    assert "-21 ×" in told
    assert "+22 ×" in told
    assert "make it" in told


def test_what_was_written_passes_the_check(tmp_path: Path) -> None:
    path = tmp_path / "new" / "README.md"
    assert bring_up_to_date({path: "22 ×\n"}, check=False, command="") == 0
    assert bring_up_to_date({path: "22 ×\n"}, check=True, command="") == 0
