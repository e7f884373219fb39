"""Tests of the interpreter's suites that Raddle does not pass, one file per suite, each entry with its reason."""

from __future__ import annotations

import importlib
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownException:
    """One test that is known not to pass.

    Attributes:
        id: the end of the test's unittest id, long enough to mean one test: "Class.test" or "module.Class.test".
        reason: why it does not pass, and why that is right or accepted.
        since: first minor version of Python the entry speaks about, "3.12" for instance; None for the oldest.
        until: last such version, itself included; None for the newest.
    """

    id: str
    reason: str
    since: str | None = None
    until: str | None = None

    def speaks_about(self, version: tuple[int, int]) -> bool:
        """Tell whether the entry holds for an interpreter of this major and minor version."""
        return (self.since is None or _version(self.since) <= version) and (
            self.until is None or version <= _version(self.until)
        )


def for_suite(name: str) -> tuple[KnownException, ...]:
    """Return the list of the suite of that name."""
    listed: tuple[KnownException, ...] = importlib.import_module(f"{__name__}.{name}").EXCEPTIONS
    return listed


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
