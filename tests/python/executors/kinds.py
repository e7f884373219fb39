"""The executors that keep one contract: every test of this folder runs against each of `KINDS`."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from concurrent.futures.thread import BrokenThreadPool
from dataclasses import dataclass
from typing import Any

from raddle.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor


@dataclass(frozen=True)
class Kind:
    """One kind of executor, and where kinds may differ.

    Attributes:
        name: the tests' parameter.
        executor: its class.
        broken: what futures fail with when no worker can be started.
        shares_memory: whether a task works on the caller's own objects.
        kills: whether a running task can be ended at any time.
    """

    name: str
    executor: type[Any]
    broken: type[BrokenExecutor]
    shares_memory: bool
    kills: bool


THREADS = Kind("threads", ThreadPoolExecutor, BrokenThreadPool, shares_memory=True, kills=False)
PROCESSES = Kind("processes", ProcessPoolExecutor, BrokenProcessPool, shares_memory=False, kills=True)

KINDS = (THREADS, PROCESSES)
