"""How an executor is doing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExecutorStats:
    """A snapshot of an executor; the figures of one snapshot belong together only roughly.

    Attributes:
        workers: threads or processes alive.
        busy: of these, running a task or on the way to one.
        idle: of these, without one.
        blocked: of these, inside a task that waits for another one of the executor, or (of threads) was given up at
            its timeout.
        queued: tasks that are ready to start (for threads, also workers' turns at a map).
        deferred: tasks that wait for a dependency or for their next attempt.
        completed: tasks and items of maps that have returned.
        failed: those that have raised, the last attempt counting.
        cancelled: tasks that were cancelled before they began.
        timed_out: attempts that ran longer than their timeout.
        retried: attempts that were followed by another one, after an exception, a timeout or a worker's death.
    """

    workers: int
    busy: int
    idle: int
    blocked: int
    queued: int
    deferred: int
    completed: int
    failed: int
    cancelled: int
    timed_out: int
    retried: int


ExecutorStats.__module__ = "raddle.futures"
