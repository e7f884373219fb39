"""Rows survive the JSON file, meet or miss their targets, and come in the order of the interpreters."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benches.report import HEADER, line, quantity, times
from benches.results import Report, load, rows_by_name
from benches.targets import Target, target_for
from tests.python.benches.reports import report, row


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    written = report("3.11", row("submit-all", 21.5), row("idle", None, 0.25))
    (tmp_path / "3.11.json").write_text(written.to_json(), encoding="utf-8")
    (read,) = load(tmp_path)
    assert read.rows.keys() == written.rows.keys()
    assert read.to_json() == written.to_json()


def test_the_file_names_the_peer_with_its_version_and_the_verdicts() -> None:
    content = json.loads(report("3.11", row("submit-all", 19.0), row("map", 40.0)).to_json())
    assert content["peer"] == {"name": "stdlib", "version": "CPython 3.11.1"}
    assert [(entry["target"], entry["met"]) for entry in content["rows"]] == [("≥ 20", False), ("≥ 40", True)]


def test_reports_come_oldest_interpreter_first(tmp_path: Path) -> None:
    for version in ("3.14t", "3.9", "3.14", "3.10"):
        (tmp_path / f"{version}.json").write_text(report(version).to_json(), encoding="utf-8")
    assert [found.version for found in load(tmp_path)] == ["3.9", "3.10", "3.14", "3.14t"]


def test_without_results_nothing_is_made_of_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="python -m benches"):
        load(tmp_path)


def test_a_file_of_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema"):
        Report.from_json('{"schema": 0}')


def test_two_rows_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="'map'"):
        rows_by_name([row("map", 1.0), row("map", 2.0)])


@pytest.mark.parametrize(
    ("target", "figure", "met"),
    [
        (Target(20), 20.0, True),
        (Target(20), 19.9, False),
        (Target(1, tolerance=0.05), 0.96, True),
        (Target(1, tolerance=0.05), 0.94, False),
        (Target(1, "at most"), 0.3, True),
        (Target(1, "at most"), 1.1, False),
    ],
)
def test_targets(target: Target, figure: float, met: bool) -> None:
    assert target.met(figure) is met


def test_versions_without_a_target_get_no_verdict() -> None:
    assert target_for("submit-all", "3.12") is None
    assert row("submit-all", 1.0).met("3.12") is None
    assert row("submit-all", 1.0).met("3.11") is False


def test_a_row_without_a_ratio_is_judged_by_its_value() -> None:
    assert row("idle", None, 0.2).met("3.12") is True
    assert row("idle", None, 20.0).met("3.12") is False


def test_a_printed_line_has_every_column() -> None:
    assert HEADER.split() == ["work", "baseline", "raddle", "ratio", "(quartiles)", "target", "met?"]
    printed = line(replace(row("map", 50.0, 0.2), title="map"), "3.11")
    assert " ".join(printed.split()) == "map 10.0 µs 0.20 µs 50 × (45–55) ≥ 40 yes"


@pytest.mark.parametrize(
    ("ratio", "words"), [(0.5, "0.50 ×"), (1.4, "1.40 ×"), (4.44, "4.4 ×"), (21.6, "22 ×")]
)
def test_ratios_have_as_many_digits_as_they_can_bear(ratio: float, words: str) -> None:
    assert times(ratio) == words


@pytest.mark.parametrize(("value", "words"), [(0.412, "0.41 µs"), (12.74, "12.7 µs"), (1203.4, "1203 µs")])
def test_quantities_have_about_three_digits(value: float, words: str) -> None:
    assert quantity(value, "µs") == words
