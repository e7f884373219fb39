"""Runs the benchmark: ``python -m benches [AREA …] [--quick | --full] [--only NAME] [--json FILE]``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benches import sides
from benches.areas import AREAS, workloads
from benches.report import HEADER, line
from benches.results import Report, Row, rows_by_name
from benches.run import Bench, Mode, Workload


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument(
        "area", nargs="*", metavar="AREA", help=f"only these of {', '.join(AREAS)}; all by default"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", action="store_true", help="a tenth of the work, five repeats; writes no file"
    )
    size.add_argument("--full", action="store_true", help="also a million and ten million tasks at once")
    parser.add_argument(
        "--only", action="append", choices=list(workloads()), help="only this workload; repeatable"
    )
    parser.add_argument(
        "--rival", action="append", metavar="KEY", help="meet only this one of an area's rivals; repeatable"
    )
    parser.add_argument(
        "--json", type=Path, help="write the rows there instead of benches/results/<area>/<version>.json"
    )
    parser.add_argument(
        "--against-itself",
        action="store_true",
        help="the stdlib on both sides: ratios away from 1 are the noise",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.area) - set(AREAS):
        parser.error(f"no such area: {', '.join(sorted(unknown))}")
    return options


def main(arguments: Sequence[str]) -> int:
    """Measures, prints a line for each row as it is known, writes the JSON files; returns the exit status."""
    options = parse(arguments)
    mode: Mode = "quick" if options.quick else "full" if options.full else "standard"
    candidate = sides.stdlib_again() if options.against_itself else sides.raddle()
    bench = Bench(sides.stdlib(), candidate, mode, options.rival)
    version = sides.interpreter_key()

    def report(rows: dict[str, Row]) -> Report:
        return Report(version, bench.peer.version, candidate.version, _cpus(), mode, rows)

    print(f"{candidate.version} against {bench.peer.version}, {_cpus()} processors, {mode}")
    print(HEADER)
    partial = options.only or options.rival
    complete = mode != "quick" and not partial and not options.against_itself
    everything: list[Row] = []
    for area in AREAS.values():
        if options.area and area.name not in options.area:
            continue
        chosen = {
            name: work for name, work in area.workloads.items() if not options.only or name in options.only
        }
        for note in area.notes(bench) if chosen else ():
            print(note)
        rows = rows_by_name(_printed(bench, chosen, version))
        everything += rows.values()
        if complete and options.json is None:
            _write(area.results / f"{version}.json", report(rows))
    if options.json is not None:
        _write(options.json, report(rows_by_name(everything)))
    return 0


def _printed(bench: Bench, chosen: Mapping[str, Workload], version: str) -> Iterator[Row]:
    for work in chosen.values():
        for row in work(bench):
            print(line(row, version), flush=True)
            yield row


def _write(path: Path, report: Report) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.to_json(), encoding="utf-8")


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
