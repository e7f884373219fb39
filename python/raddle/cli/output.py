"""Tables for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence


def print_json(value: object) -> None:
    """Print a value as JSON, for `--json`."""
    json.dump(value, sys.stdout, indent=2)
    print()


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[int] = (),
    bold: int | None = None,
) -> None:
    """Print a table: with rich where that is installed and someone watches, else in plain columns.

    Args:
        header: the columns' titles.
        rows: as many cells each.
        numbers: the columns that are aligned to the right.
        bold: the row that stands out.
    """
    if not (sys.stdout.isatty() and _print_with_rich(header, rows, numbers, bold)):
        _print_plain(header, rows, numbers)


def _print_plain(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> None:
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, ["-" * width for width in widths], *rows):
        cells = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _print_with_rich(
    header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int], bold: int | None
) -> bool:
    """Print the table with rich, which knows of narrow terminals and NO_COLOR; return whether it is there to do so."""
    try:
        import rich.box
        import rich.console
        import rich.table
    except ImportError:
        return False
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for column, title in enumerate(header):
        table.add_column(title, justify="right" if column in numbers else "left")
    for number, row in enumerate(rows):
        table.add_row(*row, style="bold" if number == bold else None)
    rich.console.Console().print(table)
    return True
