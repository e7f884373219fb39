"""The workloads of ``raddle.futures``, by name, in the order of the report."""

from __future__ import annotations

from benches.area import Area
from benches.futures.awaiting import awaiting
from benches.futures.idle import idle
from benches.futures.mapping import mapping
from benches.futures.memory import memory
from benches.futures.scaling import tasks, workers
from benches.futures.submitting import eight_threads, one_at_a_time, submit_all
from benches.futures.waiting import as_completed, first_completed

AREA = Area(
    name="futures",
    peer="`concurrent.futures.ThreadPoolExecutor`",
    setting="2 workers",
    heading="no-op tasks, times as fast as the stdlib on",
    workloads={
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
    },
    shown={
        "submit-all": "submit all, then collect",
        "one-at-a-time": "one task at a time",
        "map": "`map`, no chunk size given",
        "as-completed": "`as_completed` over 10,000 tasks",
        "first-completed": "`wait(FIRST_COMPLETED)` in a loop over these",
        "eight-threads": "eight threads submitting at once",
        "asyncio-one": "`run_in_executor`, one awaited at a time",
        "asyncio-gather": "`asyncio.gather` of 1,000 of these",
        "memory": "memory per queued task, times less",
    },
)
