"""Known exceptions in test.test_concurrent_futures, process side."""

from __future__ import annotations

from . import KnownException

_STARTS = ("Fork", "Forkserver", "Spawn")
#: Those that a worker with a number of tasks may have in the standard library.
_FRESH = ("Forkserver", "Spawn")

_EXECUTOR = "ProcessPool{}ProcessPoolExecutorTest"
_SHUTDOWN = "ProcessPool{}ProcessPoolShutdownTest"

_COLLECTED = (
    "wants the tasks of an executor to fail that is collected while its last worker is replaced; Raddle runs them, "
    "as those of any executor that nobody has any more"
)


def _each(
    test: str,
    reason: str,
    starts: tuple[str, ...] = _STARTS,
    since: str | None = None,
) -> tuple[KnownException, ...]:
    return tuple(KnownException(test.format(start), reason, since=since) for start in starts)


EXCEPTIONS: tuple[KnownException, ...] = (
    # Where Raddle differs on purpose.
    *_each(
        f"{_EXECUTOR}.test_killed_child",
        "wants the executor to take nothing more when a worker was killed; Raddle's goes on with another worker",
    ),
    *_each(
        f"{_EXECUTOR}.test_broken_process_pool_traceback",
        "wants three tasks to fail when the worker of one is killed; with Raddle, the others go on",
        since="3.14",
    ),
    *_each(
        f"{_EXECUTOR}.test_traceback_when_child_process_terminates_abruptly",
        "looks for the exit code in the text of a `_RemoteTraceback`; `WorkerDied` has it as `exit_code`",
        since="3.15",
    ),
    *_each(f"{_EXECUTOR}.test_gc_during_max_tasks_worker_exit_gh152967", _COLLECTED, _FRESH, since="3.14"),
    *_each(f"{_EXECUTOR}.test_shutdown_no_wait_max_tasks_gh119592", _COLLECTED, _FRESH, since="3.14"),
    *_each(
        f"{_EXECUTOR}.test_max_tasks_per_child",
        "wants max_tasks_per_child to be refused for forked workers, which Raddle replaces as any others",
        ("Fork",),
        since="3.11",
    ),
    # Where something is submitted that can't be pickled, and the workers are counted that wait for it all the same.
    *_each(
        f"{_EXECUTOR}.test_saturation",
        "counts the workers after submitting a semaphore, which can't be pickled; Raddle starts none for that",
    ),
    *_each(
        f"{_SHUTDOWN}.test_processes_terminate",
        "counts the workers after submitting a semaphore, which can't be pickled; Raddle starts none for that",
        ("Fork",),
    ),
    # Where a part of the standard library's executor is replaced, which Raddle's does not have.
    *_each(
        f"{_EXECUTOR}.test_force_shutdown_workers",
        "replaces a worker's `terminate` and `kill`; Raddle's supervisor sends the signals, to what tasks started too",
        since="3.14",
    ),
    *_each(
        f"{_EXECUTOR}.test_python_finalization_error",
        "lets the start of a Python thread fail; Raddle starts none for its executors",
        since="3.13",
    ),
    *_each(
        f"{_EXECUTOR}.test_failed_worker_replacement_breaks_pool",
        "replaces `_spawn_worker`, by which the standard library starts workers",
        _FRESH,
        since="3.14",
    ),
    *_each(
        f"{_EXECUTOR}.test_force_shutdown_during_max_tasks_worker_exit",
        "sets `_force_shutting_down` instead of calling `terminate_workers`",
        _FRESH,
        since="3.14",
    ),
)
