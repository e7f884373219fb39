"""The command line: ``python examples/demo [--path DIR] [--json] [--report FILE.html] [--workers N] [--job NAME]``.

Exit codes: 0 all ways agree; 1 some don't, or one failed; 2 bad arguments or nothing to work on; 130 Ctrl-C.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

from .corpus import Corpus, NoInput, discover, standard_library
from .interrupt import interrupt_no_more, interrupt_once
from .measure import WayFailed, measure
from .page import render
from .plan import JOBS, left_out, plan
from .progress import live_progress
from .table import Run, as_json, print_table
from .ways import settle


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code.

    Raises:
        KeyboardInterrupt: Ctrl-C; nothing is left running.
    """
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Files may have names, and the terminal an encoding, that would make print raise.
        sys.stdout.reconfigure(errors="backslashreplace")
    settle()
    try:
        run = _run(options, interrupt_once())
        interrupt_no_more()
        return _tell(run, options)
    except (NoInput, WayFailed, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2 if isinstance(error, NoInput) else 1


def _run(options: argparse.Namespace, check_interrupt: Callable[[], None]) -> Run:
    begin = perf_counter()
    corpus: Corpus = discover(options.path)
    for name, reason in corpus.skipped:
        print(f"demo: skipped {name}: {reason}", file=sys.stderr)
    outcomes = []
    with live_progress(check_interrupt) as progress:
        for key in options.job or JOBS:
            if package := left_out(key):
                print(f"demo: left out {key}: {package} is not installed", file=sys.stderr)
                continue
            with plan(key, corpus, options.workers) as job:
                outcomes.append(measure(job, progress))
    return Run(corpus, options.workers, outcomes, perf_counter() - begin)


def _tell(run: Run, options: argparse.Namespace) -> int:
    if options.json:
        json.dump(as_json(run), sys.stdout, indent=2)
        print()
    else:
        print_table(run)
    if options.report is not None:
        options.report.write_text(render(run), encoding="utf-8", errors="backslashreplace")
    for problem in run.problems:
        print(f"demo: {problem}", file=sys.stderr)
    return 1 if run.problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="demo",
        description="Do five kinds of concurrent work serially, with the standard library and with Raddle, "
        "check that the results agree, and compare the times.",
    )
    parser.add_argument(
        "--path",
        type=Path,
        default=standard_library(),
        metavar="DIR",
        help="folder whose Python files to work on (default: the standard library)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON and nothing else")
    parser.add_argument(
        "--report", type=_file_to_write, metavar="FILE.html", help="write a page with bar charts as well"
    )
    parser.add_argument(
        "--workers",
        type=_positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="threads or processes for work that needs a processor (default: %(default)s, one for each)",
    )
    parser.add_argument("--job", action="append", choices=JOBS, help="only this job; may be repeated")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _file_to_write(text: str) -> Path:
    """Refuse early what could not be written once the work is done."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path.parent}: no such folder")
    return path
