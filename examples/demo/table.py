"""The outcomes as one table for people and as one object for machines."""

import os
import platform
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import raddle

from .corpus import Corpus
from .jobs import Analysed, Compressed
from .measure import Measurement, Outcome
from .plan import gil_enabled

SCHEMA = 1
"""Version of what `as_json` returns; a change that breaks its readers raises it."""

_DIGEST_SHOWN = 12


class Run(NamedTuple):
    """All that the demo found out: the input, the outcomes, and how long it took, in seconds."""

    corpus: Corpus
    workers: int
    outcomes: Sequence[Outcome]
    seconds: float

    @property
    def problems(self) -> list[str]:
        """What disagrees with what came before it, each way by its name; empty when all agree."""
        return [
            f"{outcome.job.title}, {measurement.way.name}: {measurement.problem}"
            for outcome in self.outcomes
            for measurement in outcome.measurements
            if measurement.problem
        ]


def as_json(run: Run) -> dict[str, Any]:
    """Return the run as an object that `json.dumps` takes. Times are in seconds, sizes in bytes."""
    return {
        "schema": SCHEMA,
        "raddle": raddle.__version__,
        "python": platform.python_version(),
        "gil": gil_enabled(),
        "cpus": os.cpu_count(),
        "workers": run.workers,
        "path": str(run.corpus.root),
        "files": len(run.corpus.files),
        "bytes": run.corpus.size,
        "skipped": [{"file": name, "reason": reason} for name, reason in run.corpus.skipped],
        "seconds": run.seconds,
        "agree": not run.problems,
        "jobs": [
            {
                "key": outcome.job.key,
                "title": outcome.job.title,
                "files": len(outcome.job.files),
                "ways": [
                    {
                        "name": measurement.way.name,
                        "family": measurement.way.family,
                        "workers": measurement.way.workers,
                        "seconds": measurement.seconds,
                        "extrapolated": measurement.extrapolated,
                        "measured_files": measurement.measured,
                        "measured_seconds": measurement.measured_seconds,
                        "speedup": outcome.speedup(measurement),
                        "digest": measurement.digest,
                        "problem": measurement.problem or None,
                    }
                    for measurement in outcome.measurements
                ],
            }
            for outcome in run.outcomes
        ],
    }


def seconds_text(measurement: Measurement) -> str:
    """Return the time; ``~`` stands before one that was extrapolated."""
    return f"{'~' if measurement.extrapolated else ''}{measurement.seconds:.2f} s"


def way_text(outcome: Outcome, measurement: Measurement) -> str:
    """Return the way's name, and from how many files its time was extrapolated if it was."""
    if measurement.extrapolated:
        return f"{measurement.way.name} (from {measurement.measured} of {len(outcome.job.files):,})"
    return measurement.way.name


def digest_text(measurement: Measurement) -> str:
    """Return the start of the digest; of a sample, which has another digest than the whole, that it agrees."""
    if measurement.problem:
        return "DISAGREES"
    return "sample agrees" if measurement.extrapolated else measurement.digest[:_DIGEST_SHOWN]


def input_text(run: Run) -> str:
    """Return a sentence on the input and the machine."""
    corpus = run.corpus
    skipped = f" ({len(corpus.skipped)} skipped)" if corpus.skipped else ""
    return (
        f"{len(corpus.files):,} files{skipped}, {_size_text(corpus.size)}, from {corpus.root}; "
        f"Python {platform.python_version()}{'' if gil_enabled() else ' without the GIL'}, "
        f"Raddle {raddle.__version__}, {os.cpu_count()} processors."
    )


def findings(run: Run) -> list[str]:
    """Return a sentence on what the work itself brought to light, for each job that has one."""
    sentences = []
    for outcome in run.outcomes:
        results = outcome.results
        compressed = [result for result in results.values() if isinstance(result, Compressed)]
        if compressed:
            size = sum(result.size for result in compressed)
            packed = sum(result.packed for result in compressed)
            sentences.append(f"{_size_text(size)} compress to {_size_text(packed)}.")
        analysed = {name: result for name, result in results.items() if isinstance(result, Analysed)}
        if not analysed:
            continue
        unparsable = sum(1 for result in analysed.values() if result.error)
        figures = [(figure, name) for name, result in analysed.items() for figure in result.functions]
        if figures:
            most, name = max(figures, key=lambda pair: (pair[0].complexity, pair[1]))
            mean = sum(figure.complexity for figure, _ in figures) / len(figures)
            sentences.append(
                f"{len(figures):,} functions have a mean cyclomatic complexity of {mean:.1f}; "
                f"the highest is {most.complexity}, of {most.name} ({name}:{most.line})."
            )
        if unparsable:
            sentences.append(f"{unparsable} files are no valid Python.")
    return sentences


def _size_text(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def print_table(run: Run) -> None:
    """Print the table to standard output: with rich where it is installed and someone watches, else plain."""
    header = ["Job", "Way", "Workers", "Time", "Speed-up", "Digest"]
    groups = [
        [
            [
                outcome.job.title if not index else "",
                way_text(outcome, measurement),
                str(measurement.way.workers),
                seconds_text(measurement),
                f"{outcome.speedup(measurement):.2f} x",
                digest_text(measurement),
            ]
            for index, measurement in enumerate(outcome.measurements)
        ]
        for outcome in run.outcomes
    ]
    print(input_text(run))
    if not (sys.stdout.isatty() and _print_with_rich(header, groups)):
        _print_plain(header, groups)
    for sentence in findings(run):
        print(sentence)
    verdict = "Not all ways agree." if run.problems else "All ways agree."
    print(f"{verdict} {run.seconds:.1f} s in all; ~ marks times extrapolated from a sample.")


def _print_plain(header: Sequence[str], groups: Sequence[Sequence[Sequence[str]]]) -> None:
    rows = [header, *(row for group in groups for row in group)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if column in (2, 3, 4) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    print()
    print(line(header))
    for group in groups:
        print("  ".join("-" * width for width in widths))
        for row in group:
            print(line(row))
    print()


def _print_with_rich(header: Sequence[str], groups: Sequence[Sequence[Sequence[str]]]) -> bool:
    """Print the table with rich; return whether it is there to do so."""
    try:
        import rich.box
        import rich.console
        import rich.table
    except ImportError:
        return False
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for column, title in enumerate(header):
        table.add_column(title, justify="right" if column in (2, 3, 4) else "left", no_wrap=column > 1)
    for group in groups:
        for row in group:
            style = "bold" if row[1].startswith("Raddle") else None
            table.add_row(*row, style=style)
        table.add_section()
    rich.console.Console().print(table)
    return True
