"""The documentation's plots, made from the results: ``python -m benches.plot [--check]``."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benches.area import Area, Column
from benches.areas import AREAS, measured
from benches.generated import bring_up_to_date
from benches.report import times
from benches.results import Report, load
from benches.svg import STEPS, Drawing

FOLDER = Path(__file__).parents[1] / "docs" / "_static"


@dataclass(frozen=True)
class LogScale:
    """Maps ``low`` … ``high`` logarithmically to pixels ``start`` … ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Returns the pixel of ``value``."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, steps: Sequence[int] = (1, 2, 5)) -> list[float]:
        """Returns the round values within the scale: ``steps`` times the powers of ten."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [step * 10.0**power for power in powers for step in steps]
        return [value for value in values if self.low * 0.999 <= value <= self.high * 1.001]


# ------------------------------------------------------------ ratios as bars

_LABELS = 300
_BAR = 11
_GAP = 14


def ratios(area: Area, reports: Sequence[Report]) -> str:
    """Draws a group of bars for each row of the area's table, a bar for each of its columns."""
    columns = area.columns(reports)
    groups: list[tuple[str, dict[int, float]]] = []
    for name, words in area.shown.items():
        found = {index: ratio for index, column in enumerate(columns) if (ratio := _ratio(column, name))}
        if found:
            groups.append((words.replace("`", ""), found))
    every = [ratio for _, found in groups for ratio in found.values()]
    top, width = 76, 800
    bottom = top + sum(_BAR * len(found) + _GAP for _, found in groups)
    room = 128 if area.rivals else 64  # for what stands to the right of the longest bar
    scale = LogScale(min(0.8, *every), max(10.0, *every), _LABELS, width - room)

    drawing = Drawing(width, bottom + 30, f"Times as fast as {area.peer.replace('`', '')}")
    if not area.rivals:
        _legend(drawing, columns)
    for tick in scale.ticks():
        drawing.line([(scale(tick), top - 6), (scale(tick), bottom)], "grid")
        drawing.text(scale(tick), bottom + 16, f"{tick:g} ×", "small quiet", "middle")
    start = top
    for words, found in groups:
        drawing.text(_LABELS - 12, start + _BAR * len(found) / 2 + 4, words, anchor="end")
        for place, (index, ratio) in enumerate(found.items()):
            rival = f" {columns[index].label.replace('`', '')}" if area.rivals else ""
            _bar(drawing, scale, start + place * _BAR, ratio, rival, _step(index, len(columns)))
        start += _BAR * len(found) + _GAP
    drawing.line([(scale(1), top - 6), (scale(1), bottom)], "axis")
    return str(drawing)


def _bar(drawing: Drawing, scale: LogScale, y: float, ratio: float, rival: str, step: int) -> None:
    left, right = sorted((scale(1), scale(ratio)))
    drawing.rectangle(left, y, right - left, _BAR - 2, f"s{step}", radius=1)
    drawing.text(right + 4, y + _BAR - 2.5, times(ratio) + rival, "small")


def _legend(drawing: Drawing, columns: Sequence[Column]) -> None:
    x = 16.0
    for index, column in enumerate(columns):
        drawing.rectangle(x, 42, 12, 12, f"s{_step(index, len(columns))}", radius=2)
        label = f"CPython {column.label}"
        drawing.text(x + 17, 52, label, "quiet")
        x += 17 + 7 * len(label) + 14


def _step(index: int, count: int) -> int:
    """Spreads ``count`` columns over the steps of the hue, the last, the newest interpreter, at the strongest."""
    return STEPS - 1 if count == 1 else round(index * (STEPS - 1) / (count - 1))


def _ratio(column: Column, name: str) -> float | None:
    row = column.rows.get(name)
    return row.ratio if row else None


# ------------------------------------------------------------ series as small panels


@dataclass(frozen=True)
class Series:
    """Rows that differ in one number.

    Attributes:
        title: the drawing's heading.
        points: the number and the row's name.
        unit: what the number counts.
    """

    title: str
    points: Mapping[int, str]
    unit: str


AS_COMPLETED = Series(
    "as_completed: time per future, as the number of futures grows",
    {1_000: "as-completed-1000", 10_000: "as-completed", 100_000: "as-completed-100000"},
    "futures",
)
WORKERS = Series(
    "Time per task, as the number of workers grows",
    {count: f"workers-{count}" for count in (1, 2, 10, 100, 1_000)},
    "workers",
)
TASKS = Series(
    "Time per task, as the number of tasks grows",
    {10**power: f"tasks-{10**power}" for power in range(1, 8)},
    "tasks",
)

_PANEL_GAP = 18
Points = list[tuple[int, float]]


def panels(series: Series, reports: Sequence[Report]) -> str:
    """Draws a panel for each interpreter: both sides over the number, relative to the stdlib's first point.

    A level line means that the cost of each stays the same.
    """
    measured = [(report, *_relative(series, report)) for report in reports]
    measured = [entry for entry in measured if len(entry[2]) > 1]
    values = [value for _, theirs, ours in measured for _, value in theirs + ours]
    width, top, bottom, left = 800, 84, 250, 62
    panel = (width - left - 16 + _PANEL_GAP) / max(1, len(measured)) - _PANEL_GAP
    y = LogScale(min([0.1, *values]) * 0.8, max([1.0, *values]) * 1.3, bottom, top)

    drawing = Drawing(width, bottom + 52, series.title)
    drawing.text(16, 46, "relative to the stdlib's first point, on each interpreter", "quiet")
    for tick in y.ticks((1,)):
        drawing.text(left - 8, y(tick) + 4, f"{tick:g} ×", "small quiet", "end")
    for index, (report, theirs, ours) in enumerate(measured):
        start = left + index * (panel + _PANEL_GAP)
        x = LogScale(min(series.points), _last(measured), start + 6, start + panel - 6)
        drawing.text(start + panel / 2, top - 8, report.version, "quiet", "middle")
        for tick in y.ticks((1,)):
            drawing.line([(start, y(tick)), (start + panel, y(tick))], "grid")
        drawing.line([(start, bottom), (start + panel, bottom)], "axis")
        drawing.text(start, bottom + 16, _short(min(series.points)), "small quiet")
        drawing.text(start + panel, bottom + 16, _short(_last(measured)), "small quiet", "end")
        for css, points in (("peer", theirs), ("raddle", ours)):
            _curve(drawing, points, x, y, css)
    drawing.text(left, bottom + 40, "stdlib", "peer-text")
    drawing.text(left + 56, bottom + 40, "Raddle", "raddle-text")
    drawing.text(width - 16, bottom + 40, series.unit, "small quiet", "end")
    return str(drawing)


def _curve(
    drawing: Drawing, points: Points, x: Callable[[float], float], y: Callable[[float], float], css: str
) -> None:
    places = [(x(count), y(value)) for count, value in points]
    drawing.line(places, css)
    for place in places:
        drawing.dot(*place, f"{css}-dot")


def _relative(series: Series, report: Report) -> tuple[Points, Points]:
    """Returns the peer's and Raddle's points, divided by the peer's first value."""
    rows = [(count, report.rows[name]) for count, name in series.points.items() if name in report.rows]
    theirs = [(count, row.baseline_value) for count, row in rows if row.baseline_value]
    if not theirs:
        return [], []
    unit = theirs[0][1]
    return [(count, value / unit) for count, value in theirs], [
        (count, row.value / unit) for count, row in rows
    ]


def _last(measured: Sequence[tuple[Report, Points, Points]]) -> int:
    return max(ours[-1][0] for _, _, ours in measured)


def _short(count: int) -> str:
    """Returns ``100 k`` for a hundred thousand."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count // size} {letter}"
    return str(count)


def main(arguments: Sequence[str]) -> int:
    """Writes the plots, or checks them. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benches.plot", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a plot shows something else")
    options = parser.parse_args(arguments)
    contents = {FOLDER / f"bench-{area.name}.svg": ratios(area, load(area.results)) for area in measured()}
    reports = load(AREAS["futures"].results)
    contents |= {
        FOLDER / "bench-as-completed.svg": panels(AS_COMPLETED, reports),
        FOLDER / "bench-workers.svg": panels(WORKERS, reports),
        FOLDER / "bench-tasks.svg": panels(TASKS, reports),
    }
    return bring_up_to_date(contents, check=options.check, command="python -m benches.plot")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
