"""What is measured together: an area for each public module of Raddle, with a table and a plot of its own.

An area is a package beside this module, whose ``AREA`` says all there is to know: its workloads, which rows are shown,
and whom they are held against. Its figures stand in a folder of their own, so that one area can be measured anew
without the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benches.run import Workload

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Area:
    """The workloads of one public module, and how their figures are shown.

    Attributes:
        name: of the module in Raddle, and of the folder of its results.
        peer: whom the rows are held against, in Markdown.
        setting: what the caption says about the runs besides the processors: ``2 workers``, for instance.
        heading: the table's upper left corner, which ends in "on" and is followed by the interpreters.
        workloads: by name, in the order of the report.
        shown: the rows of the table and of the plot, and their words in Markdown.
    """

    name: str
    peer: str
    heading: str
    workloads: Mapping[str, Workload]
    shown: Mapping[str, str]
    setting: str = ""

    @property
    def results(self) -> Path:
        """The folder with a file for each interpreter."""
        return RESULTS / self.name

    @property
    def has_results(self) -> bool:
        """Says whether the area was ever measured."""
        return any(self.results.glob("*.json"))
