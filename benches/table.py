"""The README's tables, one for each area, made from the results: ``python -m benches.table [--check]``.

A table stands between two comments in README.md that name its area. It holds ratios only: a time belongs to one
machine, a ratio travels better.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benches.area import Area
from benches.areas import measured
from benches.generated import bring_up_to_date
from benches.report import times
from benches.results import Report, load

README = Path(__file__).parents[1] / "README.md"


def markers(area: Area) -> tuple[str, str]:
    """Returns the comments that the area's table stands between."""
    return f"<!-- bench:{area.name}:begin -->", f"<!-- bench:{area.name}:end -->"


def render(area: Area, reports: Sequence[Report]) -> str:
    """Returns the area's table and its caption in Markdown, with the columns of the area."""
    columns = area.columns(reports)
    lines = [
        _cells([area.heading, *(column.label for column in columns)]),
        _cells(["---", *["---:"] * len(columns)]),
    ]
    for name, words in area.shown.items():
        found = [column.rows.get(name) for column in columns]
        if not any(found):
            continue
        lines.append(
            _cells([words, *("–" if row is None or row.ratio is None else times(row.ratio) for row in found)])
        )
    return "\n".join([*lines, "", _caption(area, area.shown_reports(reports))])


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _caption(area: Area, reports: Sequence[Report]) -> str:
    candidates = _either(sorted({report.candidate for report in reports}))
    peers = ", ".join(report.interpreter.removeprefix("CPython ") for report in reports)
    cpus = _either([str(count) for count in sorted({report.cpus for report in reports})])
    setting = f"{area.setting}, " if area.setting else ""
    return (
        f"{candidates} against {area.peer} of CPython {peers}; {setting}{cpus} processors; the medians of paired "
        "runs, taken in turn in one process. `make bench` measures them anew."
    )


def _either(words: Sequence[str]) -> str:
    return " or ".join(words)


def insert(document: str, area: Area, table: str) -> str:
    """Returns ``document`` with ``table`` in place of what stands between the area's two comments.

    Raises:
        ValueError: when the document does not have each comment exactly once, in order.
    """
    begin, end = markers(area)
    if document.count(begin) != 1 or document.count(end) != 1 or document.index(begin) > document.index(end):
        raise ValueError(f"the document needs one {begin} and, after it, one {end}")
    before, rest = document.split(begin)
    return f"{before}{begin}\n\n{table}\n\n{end}{rest.split(end)[1]}"


def main(arguments: Sequence[str]) -> int:
    """Writes the tables into the README, or checks them. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benches.table", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the README says something else")
    options = parser.parse_args(arguments)
    text = README.read_text("utf-8")
    for area in measured():
        text = insert(text, area, render(area, load(area.results)))
    return bring_up_to_date({README: text}, check=options.check, command="python -m benches.table")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
