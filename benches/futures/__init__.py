"""The workloads of ``raddle.futures``, by name, in the order of the report."""

from __future__ import annotations

from collections.abc import Mapping

from benches.futures.awaiting import awaiting
from benches.futures.idle import idle
from benches.futures.mapping import mapping
from benches.futures.memory import memory
from benches.futures.scaling import tasks, workers
from benches.futures.submitting import eight_threads, one_at_a_time, submit_all
from benches.futures.waiting import as_completed, first_completed
from benches.run import Workload

WORKLOADS: Mapping[str, Workload] = {
    "submit-all": submit_all,
    "one-at-a-time": one_at_a_time,
    "map": mapping,
    "as-completed": as_completed,
    "first-completed": first_completed,
    "memory": memory,
    "eight-threads": eight_threads,
    "idle": idle,
    "workers": workers,
    "tasks": tasks,
    "asyncio": awaiting,
}
