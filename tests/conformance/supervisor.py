"""Runs a suite in child processes and survives whatever they do.

A child that hangs or crashes takes one test with it: the test under way is named and keeps the blame, and
another child runs the rest.

    supervisor ── Order ──▶ child ── events, one JSON line each ──▶ file ──▶ supervisor
                              └─ stdout, stderr, faulthandler's stacks ──▶ file

Three limits, in seconds: a test's (kept inside the child by faulthandler), a grace on top after which a
silent child is killed from here, and the suite's. Each child leads a process group, which is killed when the
child is gone, so nothing that a test started stays behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .child import COLLECT_LIMIT, EXIT_LIMIT, Order
from .suites import Suite

#: Seconds past a test's limit after which a child that has not ended itself is killed.
GRACE = 15.0
#: Children that may be lost to hangs and crashes before the rest of a suite is given up.
MAX_LOST = 8
_POLL = 0.1
_OUTPUT_KEPT = 20_000


@dataclass(frozen=True)
class Outcome:
    """How a test ended.

    Attributes:
        outcome: "passed", "failed", "skipped", "hung", "crashed" or "not run".
        seconds: how long it took.
        detail: tracebacks, the reason of a skip, or the stacks of a hang.
    """

    outcome: str
    seconds: float = 0.0
    detail: str = ""


@dataclass
class SuiteRun:
    """Everything known about one run of a suite.

    `ids` are all tests of the suite, `outcomes` those that were chosen, `problems` what went wrong outside any test,
    `missing` the reason why the interpreter does not have the suite, `sources` the files that the replacement is in.
    """

    name: str
    sources: list[str | None] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    module_skips: dict[str, str] = field(default_factory=dict)
    missing: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Limits:
    """Seconds that one test and one whole suite may take."""

    test: float = 60.0
    suite: float = 600.0


def run_suite(
    suite: Suite,
    replacement: str,
    limits: Limits,
    patterns: tuple[str, ...] = (),
    on_outcome: Callable[[str, Outcome], None] = lambda _id, _outcome: None,
) -> SuiteRun:
    """Run the suite against the package `replacement` and return what happened.

    Arguments:
        suite: the suite.
        replacement: name of the package whose classes take the place of the standard library's.
        limits: seconds for a test and for the suite.
        patterns: parts of ids or globs over them; a test that matches any is chosen; none choose all.
        on_outcome: called with each test's id and outcome as soon as it is known.
    """
    seen = SuiteRun(suite.name)
    began = time.monotonic()
    for _ in range(MAX_LOST):
        left = limits.suite - (time.monotonic() - began)
        watch = _Watch(seen, on_outcome)
        with tempfile.TemporaryDirectory(prefix="conformance-") as room:
            events = Path(room, "events.jsonl")
            order = Order(suite.name, replacement, str(events), limits.test, patterns, tuple(seen.outcomes))
            ended = _run_child(order, Path(room), left, limits, watch)
        watch.settle(ended, limits)
        if not watch.lost:
            break
    else:
        seen.problems.append(f"gave up after {MAX_LOST} children were lost to hangs and crashes")
    seen.seconds = round(time.monotonic() - began, 1)
    return seen


@dataclass(frozen=True)
class _Ended:
    """How a child ended: its status, what it wrote, and why it was killed from here: "silent", "suite" or None."""

    status: int
    output: str
    killed: str | None

    def describe(self, limits: Limits) -> str:
        if self.killed == "suite":
            how = f"was killed when the suite's {limits.suite:g} s were over"
        elif self.killed == "silent":
            how = "was killed after giving no sign of life, its own watchdog's included"
        elif self.over_limit:
            limit = f"{limits.test:g} s for a test, {COLLECT_LIMIT:g} s to collect, {EXIT_LIMIT:g} s to exit"
            how = f"was ended by its watchdog ({limit})"
        elif self.status < 0:
            how = f"died of {signal.Signals(-self.status).name}"
        else:
            how = f"ended with status {self.status}"
        return f"the child {how}\n{self.output}".rstrip()

    @property
    def over_limit(self) -> bool:
        return self.killed is not None or "Timeout (" in self.output  # faulthandler's first line


def _run_child(order: Order, room: Path, left: float, limits: Limits, watch: _Watch) -> _Ended:
    output = room / "output.txt"
    events = room / "events.jsonl"
    events.touch()
    home = room / "home"
    home.mkdir()
    killed = None
    with output.open("wb") as sink, events.open(encoding="utf-8") as lines:
        child = subprocess.Popen(
            order.command(),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
        try:
            give_up = time.monotonic() + left
            while child.poll() is None:
                try:
                    child.wait(_POLL)
                except subprocess.TimeoutExpired:
                    pass
                silent = watch.read(lines.read())
                if time.monotonic() > give_up:
                    killed = "suite"
                    break
                if silent > max(limits.test, COLLECT_LIMIT, EXIT_LIMIT) + GRACE:
                    killed = "silent"
                    break
        finally:
            _kill_group(child)
        watch.read(lines.read())
    kept = output.read_bytes()[-_OUTPUT_KEPT:]
    return _Ended(child.returncode, kept.decode("utf-8", "replace").strip(), killed)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody is left, or only the dead
        pass
    child.wait()


class _Watch:
    """Reads one child's events into the run, and judges its end."""

    def __init__(self, seen: SuiteRun, on_outcome: Callable[[str, Outcome], None]) -> None:
        self.lost = False
        self._seen = seen
        self._on_outcome = on_outcome
        self._rest = ""
        self._under_way: str | None = None
        self._last: str | None = None
        self._faults: list[str] = []
        self._ended = False
        self._heard = time.monotonic()

    def read(self, text: str) -> float:
        """Take in what the child has written since the last call; return the seconds since it last wrote anything."""
        now = time.monotonic()
        if text:
            self._heard = now
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._take(json.loads(line))
        return now - self._heard

    def settle(self, ended: _Ended, limits: Limits) -> None:
        """Name the culprit if the child did not end as it should, and say so in the run."""
        if self._ended:
            if ended.status != 0:
                self._seen.problems.append(f"after the last test {ended.describe(limits)}")
            return
        if self._under_way is not None:
            outcome = "hung" if ended.over_limit else "crashed"
            detail = "\n".join([*self._faults, ended.describe(limits)])
            self._note(self._under_way, Outcome(outcome, 0.0, detail))
        else:
            where = f"after {self._last}" if self._last else "before the first test"
            self._seen.problems.append(f"{where} {ended.describe(limits)}")
        progressed = (self._under_way or self._last) is not None
        self.lost = progressed and ended.killed != "suite"

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "plan":
            self._seen.sources = event["sources"]
            self._seen.ids = event["ids"]
            self._seen.module_skips = event["skipped"]
            self._seen.missing = event["missing"]
        elif kind == "start":
            self._under_way = event["id"]
            self._faults = []
        elif kind == "fault":
            self._faults.append(event["detail"])
        elif kind == "finish":
            self._under_way, self._last = None, event["id"]
            self._note(event["id"], Outcome(event["outcome"], event["seconds"], event["detail"]))
        elif kind == "problem":
            self._seen.problems.append(f"{event['where']}: {event['detail']}")
        elif kind == "end":
            self._ended = True

    def _note(self, name: str, outcome: Outcome) -> None:
        self._seen.outcomes[name] = outcome
        self._on_outcome(name, outcome)
