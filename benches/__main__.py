"""Runs the benchmark: ``python -m benches [--quick | --full] [--only NAME] [--json FILE]``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benches import sides
from benches.futures import WORKLOADS
from benches.report import HEADER, line
from benches.results import FOLDER, Report, Row, rows_by_name
from benches.run import Bench, Mode


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", action="store_true", help="a tenth of the work, five repeats; writes no file"
    )
    size.add_argument("--full", action="store_true", help="also a million and ten million tasks at once")
    parser.add_argument(
        "--only", action="append", choices=list(WORKLOADS), help="only this workload; repeatable"
    )
    parser.add_argument(
        "--json", type=Path, help="write the rows there instead of benches/results/<version>.json"
    )
    parser.add_argument(
        "--against-itself",
        action="store_true",
        help="the stdlib on both sides: ratios away from 1 are the noise",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measures, prints a line for each row as it is known, writes the JSON file; returns the exit status."""
    options = parse(arguments)
    mode: Mode = "quick" if options.quick else "full" if options.full else "standard"
    candidate = sides.stdlib_again() if options.against_itself else sides.raddle()
    bench = Bench(sides.stdlib(), candidate, mode)
    version = sides.interpreter_key()

    print(f"{candidate.version} against {bench.peer.version}, {_cpus()} processors, {mode}")
    print(HEADER)
    rows = rows_by_name(_printed(bench, options.only or list(WORKLOADS), version))

    report = Report(version, bench.peer.version, candidate.version, _cpus(), mode, rows)
    complete = mode != "quick" and not options.only and not options.against_itself
    path = options.json or (FOLDER / f"{version}.json" if complete else None)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report.to_json(), encoding="utf-8")
    return 0


def _printed(bench: Bench, names: Sequence[str], version: str) -> Iterator[Row]:
    for name in names:
        for row in WORKLOADS[name](bench):
            print(line(row, version), flush=True)
            yield row


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
