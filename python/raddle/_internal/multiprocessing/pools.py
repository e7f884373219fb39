"""`Pool`: the stdlib's, on Raddle's queues, and without its way to hang.

When a worker of the stdlib's is killed, what it had in hand never comes back, and who waits for it waits for ever
(python/cpython#96062); and if it had the lock of a queue, so does everybody else. Here the queue of tasks notes what
each worker takes, in the same step in which it is taken. When a worker is gone, the pool looks what it had, and
fails that.

    put, get         tasks ──▶ queue of tasks ──▶ worker ──▶ queue of results ──▶ results
    Ledger           which object of the queue is which task, which tasks have no result yet
    desk             a worker's place in the queue's memory: which object it has in hand
"""

from __future__ import annotations

import itertools
from multiprocessing import parent_process, util
from multiprocessing import pool as _stdlib
from multiprocessing.pool import worker as _work  # type: ignore[attr-defined,unused-ignore]
from queue import Empty
from typing import Any

from raddle._internal.multiprocessing.contexts import DEFAULT
from raddle._internal.multiprocessing.queues import SimpleQueue
from raddle._internal.processes.errors import WorkerDied

#: Seconds after which an idle worker looks whether its parent is still there.
_LOOK = 1.0

#: A result that the pool passes over.
_OF_NO_TASK = (None, None, None)


class Ledger:
    """What the pool's process knows of the tasks that are under way."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.keys: dict[int, Any] = {}
        self.number_of: dict[Any, int] = {}
        self.desks: dict[Any, int] = {}
        self.free_desks: list[int] = []

    def note(self, task: Any) -> None:
        """Note that the task is about to be put into the queue, of which this must be the only way."""
        number = next(self.numbers)
        if task is not None:
            key = tuple(task[:2])
            self.keys[number] = key
            self.number_of[key] = number

    def settle(self, key: Any) -> bool:
        """Note that the task's result has come. False if it had come before."""
        number = self.number_of.pop(key, None)
        if number is not None:
            del self.keys[number]
        return number is not None

    def free_desk(self) -> int:
        """Return a desk that nobody sits at."""
        return self.free_desks.pop() if self.free_desks else len(self.desks)

    def leave(self, worker: Any) -> int | None:
        """Take the desk of a worker that is gone. None if it had none."""
        desk = self.desks.pop(worker, None)
        if desk is not None:
            self.free_desks.append(desk)
        return desk


class TaskQueue(SimpleQueue):
    """The queue of a pool's tasks."""

    ledger: Ledger

    def put_task(self, task: Any) -> None:
        """Put a task, or None, after which the worker that takes it ends."""
        self.ledger.note(task)
        try:
            self.put(task)
        except BaseException:
            if task is not None:
                self.ledger.settle(tuple(task[:2]))
            self.ledger.numbers = itertools.count(next(self.ledger.numbers) - 1)
            raise

    def __reduce__(self) -> Any:
        ledger = vars(self).pop("ledger", None)  # which is the parent's
        try:
            return super().__reduce__()
        finally:
            if ledger is not None:
                self.ledger = ledger


class _Desk:
    """What a worker takes its tasks from and gives its results to."""

    def __init__(self, tasks: SimpleQueue, results: SimpleQueue, desk: int) -> None:
        self._tasks = tasks
        self._results = results
        tasks._sit(desk)
        self._parent = parent_process()

    def get(self) -> Any:
        """Take a task. A worker whose parent is gone ends."""
        while True:
            try:
                return self._tasks.get(True, _LOOK)
            except Empty:
                if self._parent is not None and not self._parent.is_alive():
                    raise EOFError from None

    def put(self, result: Any) -> None:
        """Give a result, after which there is no task in hand any more."""
        self._results.put(result)
        self._tasks._clear_desk()


def work(tasks: SimpleQueue, results: SimpleQueue, desk: int, *settings: Any) -> None:
    """Be a worker."""
    both = _Desk(tasks, results, desk)
    _work(both, both, *settings)  # type: ignore[arg-type,unused-ignore]


class _Workers(list[Any]):
    """A pool's workers. One that is gone fails what it had when the stdlib's code takes it out."""

    def __init__(self, tasks: TaskQueue, results: SimpleQueue) -> None:
        super().__init__()
        self._tasks = tasks
        self._results = results

    def __delitem__(self, at: Any) -> None:
        worker = self[at]
        super().__delitem__(at)
        ledger = self._tasks.ledger
        desk = ledger.leave(worker)
        number = None if desk is None else self._tasks._taken_at(desk)
        key = None if number is None else ledger.keys.get(number)
        if key is not None:
            # Behind the results that it has given: if this one is among them, it counts.
            self._results.put((*key, (False, _worker_died(worker.pid, worker.exitcode))))


def _worker_died(pid: int, exit_code: int) -> WorkerDied:
    if exit_code >= 0:
        return WorkerDied(f"worker process {pid} ended with exit code {exit_code}", exit_code, pid=pid)
    error = WorkerDied("", signal_number=-exit_code, pid=pid)
    error.args = (f"worker process {pid} was killed by {error.signal}",)
    return error


class Pool(_stdlib.Pool):
    """Worker processes that call functions.

    Everything is as in the stdlib, but a worker that is killed, or ends itself, fails the task that it had, with
    `WorkerDied`.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Any = None,
        initargs: Any = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        context = context or DEFAULT.get_context()
        super().__init__(processes, initializer, initargs, maxtasksperchild, context)

    def _setup_queues(self) -> None:
        ledger = Ledger()
        self._inqueue = TaskQueue(ctx=self._ctx)  # type: ignore[attr-defined]
        self._inqueue.ledger = ledger
        results = self._outqueue = SimpleQueue(ctx=self._ctx)  # type: ignore[attr-defined]
        self._pool = _Workers(self._inqueue, results)
        self._quick_put = self._inqueue.put_task

        def get() -> Any:
            result = results.get()
            return result if result is None or ledger.settle(tuple(result[:2])) else _OF_NO_TASK

        self._quick_get = get

    @staticmethod
    def Process(ctx: Any, *args: Any, **named: Any) -> Any:  # noqa: N802
        """Make a worker, which the stdlib's code asks for with its own function and arguments."""
        tasks, results, *settings = named["args"]
        desk = tasks.ledger.free_desk()
        worker = ctx.Process(*args, **{**named, "target": work, "args": (tasks, results, desk, *settings)})
        tasks.ledger.desks[worker] = desk
        return worker

    @staticmethod
    def _help_stuff_finish(inqueue: TaskQueue, task_handler: Any, size: int) -> None:  # noqa: ARG004
        # The thread that puts tasks must not wait for room: there is always room. What it has put, nobody is to
        # begin.
        util.debug("removing tasks from inqueue until task handler finished")
        try:
            while True:
                inqueue.get(False)
        except Empty:
            pass


Pool.__module__ = "raddle.multiprocessing.pool"
