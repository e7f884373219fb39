"""The workloads of ``raddle.multiprocessing``, by name, in the order of the report."""

from __future__ import annotations

from benches.area import Area
from benches.multiprocessing.calls import manager, pipe
from benches.multiprocessing.primitives import event, lock, semaphore
from benches.multiprocessing.queues import queue

AREA = Area(
    name="multiprocessing",
    peer="`multiprocessing`",
    heading="times as fast as the stdlib's on",
    workloads={
        "mp-queue": queue,
        "mp-pipe": pipe,
        "mp-manager": manager,
        "mp-lock": lock,
        "mp-semaphore": semaphore,
        "mp-event": event,
    },
    shown={
        "mp-queue-1": "`Queue` from one process to another",
        "mp-queue-4": "`Queue` from 4 processes to 4 others",
        "mp-pipe": "`Pipe`, there and back",
        "mp-manager-dict": "`manager.dict()`, an item set and read",
        "mp-lock": "`with lock`",
        "mp-lock-2": "2 processes on one lock",
        "mp-semaphore": "`with semaphore`",
        "mp-event": "an `Event` set, waited for and cleared",
        "mp-event-turns": "two processes in turn, over two events",
    },
)
