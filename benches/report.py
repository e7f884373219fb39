"""The plain table that a run prints, a line for each row."""

from __future__ import annotations

from benches.results import Row
from benches.targets import target_for

_WIDTHS = (64, 12, 12, 22, 8, 4)


def _columns(work: str, *cells: str) -> str:
    padded = [
        work.ljust(_WIDTHS[0]),
        *(cell.rjust(width) for cell, width in zip(cells, _WIDTHS[1:], strict=True)),
    ]
    return " ".join(padded).rstrip()


HEADER = _columns("work", "baseline", "raddle", "ratio (quartiles)", "target", "met?")


def line(row: Row, version: str) -> str:
    """Returns the printed line of ``row`` on the interpreter ``version``."""
    target = target_for(row.name, version)
    met = row.met(version)
    return _columns(
        row.title,
        "" if row.baseline_value is None else quantity(row.baseline_value, row.unit),
        quantity(row.value, row.unit),
        _ratio(row),
        "" if target is None else str(target),
        "" if met is None else "yes" if met else "no",
    )


def quantity(value: float, unit: str) -> str:
    """Returns a value with its unit and three significant digits."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def times(ratio: float) -> str:
    """Returns a ratio in words: ``21 ×``, ``1.4 ×``."""
    digits = 0 if ratio >= 10 else 1 if ratio >= 2 else 2
    return f"{ratio:.{digits}f} ×"


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return ""
    if row.spread is None:
        return times(row.ratio)
    low, high = (times(edge).removesuffix(" ×") for edge in row.spread)
    return f"{times(row.ratio)} ({low}–{high})"
