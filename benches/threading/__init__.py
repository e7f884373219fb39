"""The workloads of ``raddle.threading``, by name, in the order of the report."""

from __future__ import annotations

from benches.area import Area
from benches.threading.alone import barrier, condition, event, lock, rlock, semaphore
from benches.threading.contended import busy, crowd, ping_pong, worst_wait
from benches.threading.counting import counter
from benches.threading.threads import start_join

AREA = Area(
    name="threading",
    peer="`threading`",
    heading="times as fast as the stdlib's on",
    workloads={
        "lock": lock,
        "rlock": rlock,
        "condition": condition,
        "semaphore": semaphore,
        "event": event,
        "barrier": barrier,
        "crowd": crowd,
        "busy": busy,
        "ping-pong": ping_pong,
        "worst-wait": worst_wait,
        "counter": counter,
        "thread": start_join,
    },
    shown={
        "lock-with": "`with lock`",
        "rlock-with": "`with rlock`",
        "condition-notify": "`condition.notify()`",
        "condition-with": "`with condition: condition.notify()`",
        "semaphore": "`with semaphore`",
        "event": "a new `Event`, set and waited for",
        "barrier": "`Barrier(1).wait()`",
        "crowd-2": "2 threads on one lock",
        "crowd-8": "8 threads on one lock",
        "crowd-64": "64 threads on one lock",
        "busy-8": "8 threads that sleep with the lock held",
        "ping-pong": "two threads in turn, over one condition",
        "worst-wait-8": "longest wait of 8 threads, `Lock(fair=True)` against `Lock()`",
        "worst-wait-64": "the same of 64 threads",
        "counter": "`AtomicInt.add`, against an `int` under a `Lock`",
        "counter-8": "the same from 8 threads",
        "thread": "start a thread and join it",
    },
)
