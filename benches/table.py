"""The README's table, made from the results: ``python -m benches.table [--check]``.

The table stands between two comments in README.md. It holds ratios only: a time belongs to one machine, a
ratio travels better.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benches.generated import bring_up_to_date
from benches.report import times
from benches.results import Report, load

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
README = Path(__file__).parents[1] / "README.md"

#: The rows that are shown, and how.
SHOWN: Mapping[str, str] = {
    "submit-all": "submit all, then collect",
    "one-at-a-time": "one task at a time",
    "map": "`map`, no chunk size given",
    "as-completed": "`as_completed` over 10,000 tasks",
    "first-completed": "`wait(FIRST_COMPLETED)` in a loop over these",
    "eight-threads": "eight threads submitting at once",
    "asyncio-one": "`run_in_executor`, one awaited at a time",
    "asyncio-gather": "`asyncio.gather` of 1,000 of these",
    "memory": "memory per queued task, times less",
}


def render(reports: Sequence[Report]) -> str:
    """Returns the table and its caption in Markdown, a column for each of ``reports`` in their order."""
    versions = [report.version for report in reports]
    lines = [
        _cells(["no-op tasks, times as fast as the stdlib on", *versions]),
        _cells(["---", *["---:"] * len(versions)]),
    ]
    for name, words in SHOWN.items():
        found = [report.rows.get(name) for report in reports]
        if not any(found):
            continue
        lines.append(
            _cells([words, *("–" if row is None or row.ratio is None else times(row.ratio) for row in found)])
        )
    return "\n".join([*lines, "", _caption(reports)])


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _caption(reports: Sequence[Report]) -> str:
    candidates = _either(sorted({report.candidate for report in reports}))
    peers = ", ".join(report.interpreter.removeprefix("CPython ") for report in reports)
    cpus = _either([str(count) for count in sorted({report.cpus for report in reports})])
    return (
        f"{candidates} against `concurrent.futures.ThreadPoolExecutor` of CPython {peers}; 2 workers, "
        f"{cpus} processors; the medians of paired runs, taken in turn in one process. `make bench` measures them anew."
    )


def _either(words: Sequence[str]) -> str:
    return " or ".join(words)


def insert(document: str, table: str) -> str:
    """Returns ``document`` with ``table`` in place of what stands between the two comments.

    Raises:
        ValueError: when the document does not have each comment exactly once, in order.
    """
    if document.count(BEGIN) != 1 or document.count(END) != 1 or document.index(BEGIN) > document.index(END):
        raise ValueError(f"the document needs one {BEGIN} and, after it, one {END}")
    before, rest = document.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}"


def main(arguments: Sequence[str]) -> int:
    """Writes the table into the README, or checks it. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benches.table", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the README says something else")
    options = parser.parse_args(arguments)
    text = insert(README.read_text("utf-8"), render(load()))
    return bring_up_to_date({README: text}, check=options.check, command="python -m benches.table")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
