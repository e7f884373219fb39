"""Compares what happened with what was expected: everything passes, except the listed exceptions, which fail.

The list is held to the truth in both directions. A listed test that passes fails the run until the entry is
gone, and so does an entry whose id means no test, or several, of an interpreter that it claims to speak
about.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .exceptions import KnownException
from .suites import matches
from .supervisor import Outcome, SuiteRun

NOT_RUN = Outcome("not run", 0.0, "the child that should have run it ended before")
#: Outcomes in which a test did not do what the suite asks.
BAD = frozenset({"failed", "hung", "crashed", "not run"})


@dataclass
class Verdict:
    """The judged run of a suite: figures, and the complaints that make it fail (none when it is all right)."""

    run: SuiteRun
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    excepted: dict[str, str] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    @property
    def passed(self) -> int:
        return sum(outcome.outcome == "passed" for outcome in self.outcomes.values())

    @property
    def skipped(self) -> int:
        return sum(outcome.outcome == "skipped" for outcome in self.outcomes.values())

    @property
    def total(self) -> int:
        """Tests that ran, or should have; those that the interpreter's suite itself skips don't count."""
        return len(self.outcomes) - self.skipped

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as plain data, one entry a test."""
        return {
            "suite": self.run.name,
            "missing": self.run.missing,
            "sources": self.run.sources,
            "passed": self.passed,
            "total": self.total,
            "excepted": len(self.excepted),
            "skipped": self.skipped,
            "seconds": self.run.seconds,
            "complaints": self.complaints,
            "tests": [
                {
                    "id": name,
                    "outcome": outcome.outcome,
                    "seconds": outcome.seconds,
                    "detail": outcome.detail,
                    "exception": self.excepted.get(name),
                }
                for name, outcome in self.outcomes.items()
            ],
        }


def judge(
    run: SuiteRun,
    exceptions: Iterable[KnownException],
    patterns: tuple[str, ...] = (),
    version: tuple[int, int] = sys.version_info[:2],
) -> Verdict:
    """Judge one run of a suite.

    Arguments:
        run: what happened.
        exceptions: the suite's list; entries that do not speak about `version` are passed over.
        patterns: what the tests were chosen by; none for all of them.
        version: major and minor version of the interpreter that ran the suite.
    """
    chosen = [name for name in run.ids if not patterns or any(matches(name, pattern) for pattern in patterns)]
    verdict = Verdict(run, {name: run.outcomes.get(name, NOT_RUN) for name in chosen})
    verdict.complaints += run.problems
    if run.missing:
        return verdict
    for entry in exceptions:
        if entry.speaks_about(version):
            _apply(entry, verdict)
    for name, outcome in verdict.outcomes.items():
        if outcome.outcome in BAD and name not in verdict.excepted:
            verdict.complaints.append(f"{outcome.outcome.upper()} {name}\n{outcome.detail}".rstrip())
    return verdict


def _apply(entry: KnownException, verdict: Verdict) -> None:
    meant = [name for name in verdict.run.ids if name == entry.id or name.endswith(f".{entry.id}")]
    if len(meant) != 1:
        verdict.complaints.append(
            f"LISTED {entry.id}, which means {len(meant)} tests of this interpreter instead of one"
        )
        return
    outcome = verdict.outcomes.get(meant[0])
    if outcome is None:
        return
    if outcome.outcome == "passed":
        verdict.complaints.append(f"LISTED {entry.id}, but it passes: take it off the list ({entry.reason})")
    elif outcome.outcome in BAD:
        verdict.excepted[meant[0]] = entry.reason
