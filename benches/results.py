"""One measured row, and the JSON files that keep the rows of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benches.targets import target_for

SCHEMA = 1


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        name: a stable id.
        title: the work in words.
        unit: of the two values: ``µs`` per operation, ``B`` per task, ``ms`` of processor time.
        operations: in one sample: tasks, futures, acquisitions.
        baseline: what ``baseline_value`` is of: a side's name, or the point that a series is held against.
        baseline_value: the baseline's median, or None where there is no baseline.
        value: Raddle's median.
        ratio: how many times better than the baseline; None where there is no baseline.
        spread: quartiles of the ratio.
        repeats: counted samples of each side.
    """

    name: str
    title: str
    unit: str
    operations: int
    value: float
    baseline: str = ""
    baseline_value: float | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    repeats: int = 1

    def met(self, version: str) -> bool | None:
        """Says whether the row reaches its target on interpreter ``version``; None where it has none."""
        target = target_for(self.name, version)
        if target is None:
            return None
        return target.met(self.value if self.ratio is None else self.ratio)


@dataclass(frozen=True)
class Report:
    """The rows of one run on one interpreter.

    Attributes:
        version: the interpreter's feature version, ``3.11`` or ``3.14t``.
        interpreter: its full name, which is also the peer's version.
        candidate: name and version of what was measured.
        cpus: processors that the run was allowed to use.
        mode: ``quick``, ``standard`` or ``full``.
        rows: by name.
    """

    version: str
    interpreter: str
    candidate: str
    cpus: int
    mode: str
    rows: Mapping[str, Row] = field(default_factory=dict)

    def to_json(self) -> str:
        """Returns the report as the text of a JSON file; equal reports give equal texts."""
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "version": self.version,
            "candidate": self.candidate,
            "peer": {"name": "stdlib", "version": self.interpreter},
            "cpus": self.cpus,
            "mode": self.mode,
            "gc": "enabled; a full collection before each sample",
            "rows": [
                {key: _rounded(value) for key, value in asdict(row).items()}
                | {
                    "target": str(target_for(row.name, self.version) or "") or None,
                    "met": row.met(self.version),
                }
                for row in self.rows.values()
            ],
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Reads what :meth:`to_json` wrote.

        Raises:
            ValueError: when the text is of another schema.
        """
        content = json.loads(text)
        if content.get("schema") != SCHEMA:
            raise ValueError(f"expected schema {SCHEMA}, found {content.get('schema')}")
        return cls(
            version=content["version"],
            interpreter=content["peer"]["version"],
            candidate=content["candidate"],
            cpus=content["cpus"],
            mode=content["mode"],
            rows=rows_by_name(_row(entry) for entry in content["rows"]),
        )


def rows_by_name(rows: Iterable[Row]) -> dict[str, Row]:
    """Returns the rows by their names, in order.

    Raises:
        ValueError: when two rows share a name.
    """
    found: dict[str, Row] = {}
    for row in rows:
        if row.name in found:
            raise ValueError(f"two rows are named {row.name!r}")
        found[row.name] = row
    return found


def load(folder: Path) -> list[Report]:
    """Returns the reports in ``folder``, oldest interpreter first.

    Raises:
        FileNotFoundError: when there is none.
    """
    reports = [Report.from_json(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    if not reports:
        raise FileNotFoundError(f"no results in {folder}: `python -m benches` makes them")
    return sorted(reports, key=lambda report: version_order(report.version))


def version_order(version: str) -> tuple[int, int, str]:
    """Returns a sort key that puts 3.9 before 3.10, and a free-threaded build after its sibling."""
    major, minor = version.rstrip("t").split(".")
    return int(major), int(minor), version


def _rounded(value: object) -> object:
    """Keeps four significant digits: more would only record noise."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, tuple):
        return [_rounded(part) for part in value]
    return value


def _row(entry: Mapping[str, Any]) -> Row:
    known = {key: value for key, value in entry.items() if key not in ("target", "met")}
    if known.get("spread") is not None:
        known["spread"] = tuple(known["spread"])
    return Row(**known)
