"""The workloads of ``raddle.queue``, by name, in the order of the report."""

from __future__ import annotations

from benches.area import Area
from benches.queue.handover import handover
from benches.queue.threads import alone, crossing, heap, simple

AREA = Area(
    name="queue",
    peer="`queue`",
    heading="times as fast as the stdlib's on",
    workloads={
        "queue-alone": alone,
        "queue-crossing": crossing,
        "simple": simple,
        "priority": heap,
        "handover": handover,
    },
    shown={
        "queue-alone": "`Queue.put` and `get` in one thread",
        "queue-crossing-1": "`Queue` from one thread to another",
        "queue-crossing-4": "`Queue` from 4 threads to 4 others",
        "queue-crossing-64": "`Queue` from 64 threads to 64 others",
        "simple-alone": "`SimpleQueue.put` and `get` in one thread",
        "simple-crossing": "`SimpleQueue` from one thread to another",
        "priority": "`PriorityQueue`, a million items from 4 threads to 4 others",
        "handover-in": "thread to coroutine, against the quicker of janus and culsans",
        "handover-out": "coroutine to thread, likewise",
    },
)
