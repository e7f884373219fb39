"""What is measured together: an area for each public module of Raddle, with a table and a plot of its own.

An area is a package beside this module, whose ``AREA`` says all there is to know: its workloads, which rows are shown,
and whom they are held against. Its figures stand in a folder of their own, so that one area can be measured anew
without the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benches.results import Report, Row
from benches.run import Bench, Workload

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Column:
    """What an area shows of one interpreter, or of one rival.

    Attributes:
        label: the heading, in Markdown.
        rows: by the names that :attr:`Area.shown` has.
    """

    label: str
    rows: Mapping[str, Row]


def _no_notes(_: Bench) -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class Area:
    """The workloads of one public module, and how their figures are shown.

    Attributes:
        name: of the module in Raddle, and of the folder of its results.
        peer: whom the rows are held against, in Markdown.
        heading: the table's upper left corner, which is followed by the interpreters or by the rivals.
        workloads: by name, in the order of the report.
        shown: the rows of the table and of the plot, and their words in Markdown.
        setting: what the caption says about the runs besides the processors: ``2 workers``, for instance.
        rivals: who has a column each, by the end of its rows' names; the names in ``shown`` lack it. None: the columns
            are the interpreters.
        notes: what is to be said before a run, about libraries that are not there for instance.
    """

    name: str
    peer: str
    heading: str
    workloads: Mapping[str, Workload]
    shown: Mapping[str, str]
    setting: str = ""
    rivals: Mapping[str, str] = field(default_factory=dict)
    notes: Callable[[Bench], Iterable[str]] = _no_notes

    @property
    def results(self) -> Path:
        """The folder with a file for each interpreter."""
        return RESULTS / self.name

    @property
    def has_results(self) -> bool:
        """Says whether the area was ever measured."""
        return any(self.results.glob("*.json"))

    def shown_reports(self, reports: Sequence[Report]) -> Sequence[Report]:
        """Returns the reports that the columns are taken from: with rivals, the one that has most of them."""
        return [max(reports, key=lambda report: len(report.rows))] if self.rivals else reports

    def columns(self, reports: Sequence[Report]) -> list[Column]:
        """Returns a column for each interpreter, or for each rival that was met."""
        chosen = self.shown_reports(reports)
        if not self.rivals:
            return [Column(report.version, report.rows) for report in chosen]
        (report,) = chosen
        columns = [
            Column(words, {name: row for name in self.shown if (row := report.rows.get(f"{name}-{key}"))})
            for key, words in self.rivals.items()
        ]
        return [column for column in columns if column.rows]
