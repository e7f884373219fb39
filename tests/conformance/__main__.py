"""`python -m tests.conformance`: run the interpreter's own suites against Raddle and say how many tests pass."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

from .exceptions import for_suite
from .suites import SUITES
from .supervisor import Limits, Outcome, run_suite
from .verdict import Verdict, judge


def main() -> int:
    """Run the command line; return 0 when everything is as expected, 1 when not."""
    options = _parse()
    listed = not options.no_exceptions and options.replacement == "raddle"
    print(
        f"{options.replacement} on {platform.python_implementation()} {platform.python_version()}", flush=True
    )
    verdicts = []
    for name in (options.suite or list(SUITES)) * options.repeat:
        patterns = tuple(options.k)
        run = run_suite(
            SUITES[name],
            options.replacement,
            Limits(options.test_limit, options.suite_limit),
            patterns,
            _show if options.verbose else lambda _id, _outcome: None,
        )
        verdict = judge(run, for_suite(name) if listed else (), patterns)
        verdicts.append(verdict)
        print(_summary(verdict), flush=True)
    for verdict in verdicts:
        for complaint in verdict.complaints:
            print(f"\n[{verdict.run.name}] {complaint}")
    if options.json:
        options.json.write_text(
            json.dumps(_report(options.replacement, verdicts), indent=1) + "\n", encoding="utf-8"
        )
    return 1 if any(verdict.complaints for verdict in verdicts) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=main.__doc__)
    parser.add_argument(
        "suite", nargs="*", metavar="SUITE", help=f"which suites ({', '.join(SUITES)}); all by default"
    )
    parser.add_argument(
        "-k",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only tests whose id holds or matches it; may be repeated",
    )
    parser.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="run everything N times, to bring races to light"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that is known to FILE")
    parser.add_argument("--verbose", "-v", action="store_true", help="show each test as it ends")
    parser.add_argument("--no-exceptions", action="store_true", help="judge as if nothing were listed")
    parser.add_argument(
        "--replacement",
        default="raddle",
        metavar="PACKAGE",
        help="whose classes to put in place; stdlib gives the interpreter's own result",
    )
    parser.add_argument("--test-limit", type=float, default=60.0, metavar="SECONDS", help="for one test (60)")
    parser.add_argument(
        "--suite-limit", type=float, default=600.0, metavar="SECONDS", help="for one suite (600)"
    )
    options = parser.parse_args()
    unknown = set(options.suite) - set(SUITES)
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    return options


def _show(name: str, outcome: Outcome) -> None:
    print(f"  {outcome.outcome:8} {outcome.seconds:7.2f} s  {name}", flush=True)


def _summary(verdict: Verdict) -> str:
    title = f"{SUITES[verdict.run.name].title} ({verdict.run.name})"
    if verdict.run.missing:
        return f"{title}: not run, {verdict.run.missing}"
    notes = [f"{verdict.passed}/{verdict.total} passed"]
    if verdict.excepted:
        notes.append(f"{len(verdict.excepted)} listed as exceptions")
    if verdict.skipped:
        notes.append(f"{verdict.skipped} skipped by the suite itself")
    if verdict.complaints:
        notes.append(f"{len(verdict.complaints)} complaints")
    return f"{title}: {', '.join(notes)}; {verdict.run.seconds:.1f} s"


def _report(replacement: str, verdicts: list[Verdict]) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "replacement": replacement,
        "suites": [verdict.as_json() for verdict in verdicts],
    }


if __name__ == "__main__":
    sys.exit(main())
