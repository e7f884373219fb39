"""The process in which one suite runs: it writes one JSON line for each thing that happens.

The lines go to a file that the supervisor reads along, so that whatever happens to this process, the
supervisor knows what ran, how it ended and which test was under way. A test over its time limit is ended from
outside the interpreter lock: faulthandler's watchdog thread writes every thread's stack to stderr and exits
the process.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import sys
import threading
import time
import traceback
import unittest
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from . import substitution
from .suites import SUITES, collect, matches

#: Seconds for importing and collecting a suite.
COLLECT_LIMIT = 60.0
#: Seconds for the interpreter to end once the tests have.
EXIT_LIMIT = 30.0


@dataclass(frozen=True)
class Order:
    """What a child is asked to do.

    Attributes:
        suite: name of the suite.
        replacement: name of the package whose classes to put in place.
        events: path of the file to write to.
        test_limit: seconds a test may take.
        patterns: what to choose tests by; one that matches any is run; none choose all.
        settled: ids that earlier children have dealt with.
    """

    suite: str
    replacement: str
    events: str
    test_limit: float
    patterns: tuple[str, ...] = ()
    settled: tuple[str, ...] = field(default=())

    def command(self) -> list[str]:
        """Return the command line that carries out the order in a new process of this interpreter."""
        # Pools of processes and interpreters build on the originals, so they are loaded first.
        code = (
            "import concurrent.futures as f; f.ProcessPoolExecutor; getattr(f, 'InterpreterPoolExecutor', None)\n"
            f"{substitution.bootstrap(self.replacement, SUITES[self.suite].places)}"
            "from conformance import child; child.main()\n"
        )
        return [sys.executable, "-X", "faulthandler", "-c", code, json.dumps(asdict(self))]


def main() -> None:
    """Carry out the order in `sys.argv[1]`. Ends with status 0 whether tests pass or not."""
    order = Order(**json.loads(sys.argv[1]))
    with open(order.events, "a", encoding="utf-8", buffering=1) as events:
        faulthandler.dump_traceback_later(COLLECT_LIMIT, exit=True)
        run(order, events)
        faulthandler.dump_traceback_later(EXIT_LIMIT, exit=True)


def run(order: Order, events: IO[str]) -> None:
    """Collect the suite and run what the order asks for, writing events as they happen."""
    suite = SUITES[order.suite]
    found = collect(suite)
    _write(
        events,
        event="plan",
        sources=[
            getattr(substitution.source(order.replacement, place), "__file__", None) for place in suite.places
        ],
        ids=list(found.tests),
        skipped=dict(found.skipped),
        missing=found.missing,
    )
    if found.missing:
        _write(events, event="end")
        return
    from test import support  # type: ignore[import-not-found,unused-ignore]

    support.verbose = 0
    substitution.install_in_children(order.replacement, suite.places)
    remaining = substitution.leftovers()
    if remaining:
        raise RuntimeError(f"these names still mean the originals: {', '.join(remaining)}")
    chosen = [
        test
        for name, test in found.tests.items()
        if name not in order.settled and (not order.patterns or any(matches(name, p) for p in order.patterns))
    ]
    result = _Recorder(events, order.test_limit, support)
    threading.excepthook = sys.unraisablehook = result.note_stray
    support.print_warning = result.note_warning
    unittest.TestSuite(chosen).run(result)
    result.close()
    _write(events, event="end")


def _write(events: IO[str], **record: Any) -> None:
    events.write(json.dumps(record) + "\n")


class _Recorder(unittest.TestResult):
    """Writes the start and the end of every test, with its outcome, and holds each to the time limit."""

    def __init__(self, events: IO[str], test_limit: float, support: Any) -> None:
        super().__init__()
        self._events = events
        self._test_limit = test_limit
        self._support = support
        self._outcome = "passed"
        self._details: list[str] = []
        self._began = 0.0
        self._strays: list[str] = []
        self._warnings: list[str] = []

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802  # unittest's name
        super().startTest(test)
        self._outcome = "passed"
        self._details = []
        self._began = time.monotonic()
        faulthandler.dump_traceback_later(self._test_limit, exit=True)
        _write(self._events, event="start", id=test.id())

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        self._fail_for_strays()
        _write(
            self._events,
            event="finish",
            id=test.id(),
            outcome=self._outcome,
            seconds=round(time.monotonic() - self._began, 3),
            detail="\n".join(self._details),
        )
        super().stopTest(test)
        if self._outcome == "failed":
            # What it left open is kept by the frames of its traceback, and would hold up its module's tearing down.
            gc.collect()

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        if isinstance(test, unittest.TestCase):
            self._fail(_text(err))
        else:  # a module's or a class's own setting up or tearing down
            _write(self._events, event="problem", where=test.id(), detail=_text(err))

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._fail(_text(err))

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(f"{subtest}\n{_text(err)}")

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        if self._outcome == "passed":
            self._outcome = "skipped"
        self._details.append(reason)

    def addUnexpectedSuccess(self, test: Any) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        self._fail("passed although the suite itself expects it to fail")

    def close(self) -> None:
        """Report what came to light after the last test, in the tearing down of modules for instance."""
        self._details = []
        self._fail_for_strays()
        for detail in self._details:
            _write(self._events, event="problem", where="after the last test", detail=detail)

    def note_stray(self, raised: Any) -> None:
        """Remember an exception that had nowhere to go; a `threading.excepthook` and a `sys.unraisablehook`."""
        where = getattr(raised, "thread", None) or getattr(raised, "err_msg", None) or "unraisable"
        self._strays.append(f"stray exception, {where}:\n" + _text(raised[:3]))

    def note_warning(self, message: str) -> None:
        """Remember what `test.support` says about threads and processes left behind; its `print_warning`."""
        self._warnings.append(message)

    def _fail_for_strays(self) -> None:
        """Blame the test for exceptions that nobody caught, and for threads and processes left behind.

        The interpreter's own test runner does so with --fail-env-changed.
        """
        while self._strays:
            self._fail(self._strays.pop(0))
        if self._support.environment_altered:
            self._support.environment_altered = False
            self._fail("\n".join(["left threads or processes behind:", *self._warnings]))
        self._warnings.clear()

    def _fail(self, detail: str) -> None:
        self._outcome = "failed"
        self._details.append(detail)
        _write(self._events, event="fault", detail=detail)  # in case the test never comes to its end


def _text(err: Any) -> str:
    return "".join(traceback.format_exception(*err)).rstrip()
