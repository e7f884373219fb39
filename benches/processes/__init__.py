"""The workloads of ``raddle.futures.ProcessPoolExecutor``, by name, in the order of the report."""

from __future__ import annotations

from benches.area import Area
from benches.processes.arrays import arrays, messages, sharing
from benches.processes.mapping import mapping
from benches.processes.rivals import OTHERS, notes
from benches.processes.scheduling import mixed_tasks, short_tasks
from benches.processes.starting import batches, idle, memory, replacement, starting
from benches.processes.submitting import after_pauses, beside_hogs, eight_threads, one_at_a_time, submit_all

AREA = Area(
    name="processes",
    peer="`concurrent.futures.ProcessPoolExecutor` and other pools",
    setting="2 workers",
    heading="times as fast as",
    workloads={
        "process-submit-all": submit_all,
        "process-one-at-a-time": one_at_a_time,
        "process-paused": after_pauses,
        "process-100us": short_tasks,
        "process-hogs": beside_hogs,
        "process-map": mapping,
        "process-mixed": mixed_tasks,
        "process-batches": batches,
        "process-array": arrays,
        "process-message": messages,
        "process-share": sharing,
        "process-start": starting,
        "process-replacement": replacement,
        "process-eight-threads": eight_threads,
        "process-memory": memory,
        "process-idle": idle,
    },
    shown={
        "process-submit-all": "no-op tasks, submit all, then collect",
        "process-one-at-a-time": "no-op tasks, one at a time",
        "process-paused": "the same, one every millisecond",
        "process-100us": "tasks of 100 µs",
        "process-map": "`map` of 100,000 no-ops, no chunk size given",
        "process-mixed": "`map` of tasks from 0.1 ms to 1 s",
        "process-batches": "twenty pools, one after the other",
        "process-message-10kb-in": "10 KB as an argument",
        "process-message-10kb-echo": "10 KB as an argument and result",
        "process-message-1mb-in": "1 MB as an argument",
        "process-message-1mb-echo": "1 MB as an argument and result",
        "process-array-in": "100 MB array as an argument",
        "process-array-out": "100 MB array as a result",
        "process-share": "one 100 MB array to 1,000 tasks, through `raddle.share`",
        "process-start-cold": "first pool of a program, to its first result",
        "process-start-numpy": "the same, with numpy in the workers",
        "process-start-later": "a later pool, to its first result",
        "process-memory": "private memory of 8 idle workers with numpy, times less",
    },
    rivals={"stdlib": "stdlib", **{key: f"`{rival.words}`" for key, rival in OTHERS.items()}},
    notes=notes,
)
