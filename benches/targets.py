"""What each row has to reach, by the interpreter's version.

A row without an entry for the running version is measured and printed without a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Sense = Literal["at least", "at most"]
ANY = "any"


@dataclass(frozen=True)
class Target:
    """A bound on a row's ratio, or on its value where it has no ratio.

    Attributes:
        value: the bound.
        sense: which side of the bound is good.
        tolerance: the share of the bound by which noise may miss it; only for "no slower than" rows, where a
            tie is a success and a measured tie falls on either side of 1.
    """

    value: float
    sense: Sense = "at least"
    tolerance: float = 0.0

    def met(self, figure: float) -> bool:
        """Says whether ``figure`` is on the good side."""
        if self.sense == "at least":
            return figure >= self.value * (1 - self.tolerance)
        return figure <= self.value * (1 + self.tolerance)

    def __str__(self) -> str:
        return f"{'≥' if self.sense == 'at least' else '≤'} {self.value:.3g}"


NO_SLOWER = Target(1.0, tolerance=0.05)
#: Within a tenth of what nobody can be quicker than.
NEAR_IDEAL = Target(0.9)
#: Within one and a half times of a copy in memory.
NEAR_COPY = Target(1 / 1.5)
#: A hundred times as many futures may cost up to twice as much each: caches fill up. Quadratic would be 0.01.
LINEAR = Target(0.5)
#: A pool is flat when its slowest point is within a factor of two of its fastest.
FLAT = Target(0.5)

TARGETS: Mapping[str, Mapping[str, Target]] = {
    "submit-all": {"3.11": Target(20), "3.14": Target(10)},
    "one-at-a-time": {"3.11": Target(1.4), "3.14": Target(1.2)},
    "map": {"3.11": Target(40), "3.14": Target(20)},
    "as-completed": {"3.11": Target(10), "3.14": Target(5)},
    "as-completed-linear": {ANY: LINEAR},
    "first-completed": {"3.11": Target(10), "3.14": Target(5)},
    "first-completed-linear": {ANY: LINEAR},
    "memory": {"3.11": Target(4), "3.14": Target(4)},
    "eight-threads-vs-one": {"3.11": NO_SLOWER, "3.14": NO_SLOWER},
    "idle": {ANY: Target(1.0, "at most")},
    "workers-flat": {ANY: FLAT},
    "tasks-flat": {ANY: FLAT},
    "lock-with": {ANY: NO_SLOWER},
    "lock-acquire": {ANY: NO_SLOWER},
    "rlock-with": {ANY: NO_SLOWER},
    "rlock-acquire": {ANY: NO_SLOWER},
    "rlock-nested": {ANY: NO_SLOWER},
    "condition-notify": {"3.11": Target(5), "3.14": Target(2.5)},
    "semaphore": {"3.11": Target(8), "3.14": Target(4)},
    "semaphore-bounded": {"3.11": Target(8), "3.14": Target(4)},
    "event": {"3.11": Target(10), "3.14": Target(5)},
    "barrier": {"3.11": Target(5), "3.14": Target(2.5)},
    "crowd-2": {ANY: NO_SLOWER},
    "crowd-8": {ANY: NO_SLOWER},
    "crowd-64": {ANY: NO_SLOWER},
    "busy-8": {ANY: NO_SLOWER},
    "ping-pong": {ANY: NO_SLOWER},
    "worst-wait-8": {ANY: Target(2)},
    "worst-wait-64": {ANY: Target(2)},
    "thread": {ANY: NO_SLOWER},
    "queue-alone": {"3.11": Target(8), "3.14": Target(8)},
    "queue-crossing-1": {"3.11": Target(10), "3.14": Target(10)},
    "queue-crossing-4": {"3.11": Target(5), "3.14": Target(5)},
    "queue-crossing-64": {"3.11": Target(5), "3.14": Target(5)},
    "simple-alone": {ANY: NO_SLOWER},
    "simple-crossing": {ANY: NO_SLOWER},
    "priority": {"3.11": Target(3), "3.14": Target(3)},
    "handover-in": {"3.11": Target(3), "3.14": Target(3)},
    "handover-out": {"3.11": Target(3), "3.14": Target(3)},
    "process-submit-all-stdlib": {ANY: Target(30)},
    "process-submit-all-pool": {ANY: Target(6)},
    "process-submit-all-loky": {ANY: Target(20)},
    "process-submit-all-pebble": {ANY: Target(20)},
    "process-submit-all-zooparallel": {ANY: Target(1)},
    "process-one-at-a-time-stdlib": {ANY: Target(20)},
    "process-paused-stdlib": {ANY: Target(3)},
    "process-100us": {ANY: NEAR_IDEAL},
    "process-100us-computing": {ANY: NEAR_IDEAL},
    "process-hogs-one-stdlib": {ANY: NO_SLOWER},
    "process-hogs-100us-stdlib": {ANY: NO_SLOWER},
    "process-map-pool": {ANY: Target(1.2)},
    "process-map-joblib": {ANY: Target(10)},
    "process-map-mpire": {ANY: Target(10)},
    "process-mixed": {ANY: NEAR_IDEAL},
    "process-batches-stdlib": {ANY: Target(5)},
    "process-array-in-stdlib": {ANY: Target(20)},
    "process-array-in-ray": {ANY: Target(5)},
    "process-array-in-memcpy": {ANY: NEAR_COPY},
    "process-array-out-stdlib": {ANY: Target(20)},
    "process-array-out-ray": {ANY: Target(5)},
    "process-array-out-memcpy": {ANY: NEAR_COPY},
    "process-array-first-memcpy": {ANY: NEAR_COPY},
    "process-array-first-out-memcpy": {ANY: NEAR_COPY},
    "process-message-10kb-in-stdlib": {ANY: Target(10)},
    "process-message-10kb-echo-stdlib": {ANY: Target(10)},
    "process-message-1mb-in-stdlib": {ANY: Target(10)},
    "process-message-1mb-echo-stdlib": {ANY: Target(10)},
    "process-share-joblib": {ANY: NO_SLOWER},
    "process-share-ray": {ANY: NO_SLOWER},
    "process-start-cold-stdlib": {ANY: Target(3)},
    "process-start-cold-loky": {ANY: Target(3)},
    "process-start-numpy-stdlib": {ANY: Target(1.5)},
    "process-start-numpy-loky": {ANY: Target(1.5)},
    "process-start-later-stdlib": {ANY: Target(5)},
    "process-start-later-loky": {ANY: Target(5)},
    "process-replacement": {ANY: Target(2, "at most")},
    "process-eight-threads": {ANY: NO_SLOWER},
    "process-memory-loky": {ANY: Target(2)},
    "mp-queue-1": {ANY: Target(5)},
    "mp-queue-4": {ANY: Target(5)},
    "mp-pipe": {ANY: Target(1.2)},
    "mp-manager-dict": {ANY: Target(4)},
    "mp-lock": {ANY: Target(2)},
    "mp-semaphore": {ANY: Target(2)},
    "mp-event": {ANY: Target(2)},
    "process-idle": {ANY: Target(1.0, "at most")},
}


def target_for(name: str, version: str) -> Target | None:
    """Returns the target of the row ``name`` on the interpreter ``version`` (``3.11``), if there is one."""
    by_version = TARGETS.get(name, {})
    return by_version.get(version) or by_version.get(ANY)
