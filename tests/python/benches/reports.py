"""Reports with chosen figures, for the tests of what is made from them."""

from __future__ import annotations

from benches.results import Report, Row, rows_by_name


def row(name: str, ratio: float | None, value: float = 1.0) -> Row:
    """Makes a row of ``value`` microseconds against a baseline of 10."""
    return Row(
        name=name,
        title=name,
        unit="µs",
        operations=10,
        value=value,
        baseline="stdlib",
        baseline_value=10.0,
        ratio=ratio,
        spread=None if ratio is None else (ratio * 0.9, ratio * 1.1),
        repeats=5,
    )


def report(version: str, *rows: Row) -> Report:
    """Makes the report of a standard run on two processors."""
    return Report(version, f"CPython {version}.1", "raddle 0.1.0", 2, "standard", rows_by_name(rows))
