"""Known exceptions in test.test_concurrent_futures, process side."""

from __future__ import annotations

from . import KnownException

_STARTS = ("Fork", "Forkserver", "Spawn")
_FRESH = (
    "Forkserver",
    "Spawn",
)  # those that a worker with a number of tasks may have in the standard library

_MANAGER = "joins `_executor_manager_thread`; Raddle has no thread for each executor"
_ONE_TASK = "wants the whole executor to break with a worker; with Raddle, it costs the task that it ran"
_ONE_ERROR = (
    "wants the whole executor to break when something can't be unpickled; with Raddle, its task fails with what "
    "unpickling raised"
)
_MOCKED = "replaces a method by which the standard library's executor ends its workers; Raddle has other ways"
_NO_WORKER = "counts the workers after submitting what can't be pickled; Raddle starts none for that"
_EXECUTOR = "test_process_pool.ProcessPool{}ProcessPoolExecutorTest"
_DEADLOCK = "test_deadlock.ProcessPool{}ExecutorDeadlockTest"
_SHUTDOWN = "test_shutdown.ProcessPool{}ProcessPoolShutdownTest"


def _each(
    case: str,
    tests: tuple[str, ...],
    reason: str,
    starts: tuple[str, ...] = _STARTS,
    since: str | None = None,
) -> tuple[KnownException, ...]:
    return tuple(
        KnownException(f"{case.format(start)}.{test}", reason, since=since)
        for test in tests
        for start in starts
    )


EXCEPTIONS: tuple[KnownException, ...] = (
    *_each(
        _DEADLOCK, ("test_error_at_task_unpickle", "test_exit_at_task_unpickle"), _ONE_ERROR, since="3.14"
    ),
    *_each(
        _DEADLOCK,
        (
            "test_error_during_result_unpickle_in_result_handler",
            "test_exit_during_result_unpickle_in_result_handler",
        ),
        _ONE_ERROR,
        since="3.14",
    ),
    *_each(_DEADLOCK, ("test_shutdown_deadlock_pickle",), _MANAGER, since="3.14"),
    *_each(_EXECUTOR, ("test_killed_child", "test_broken_process_pool_traceback"), _ONE_TASK, since="3.14"),
    *_each(
        _EXECUTOR,
        ("test_force_shutdown_workers", "test_kill_workers", "test_terminate_workers"),
        _MOCKED,
        since="3.14",
    ),
    *_each(_EXECUTOR, ("test_saturation",), _NO_WORKER, since="3.14"),
    *_each(
        _EXECUTOR,
        ("test_max_tasks_per_child_defaults_to_spawn_context",),
        "looks up the start method in `_mp_context`, which is the context that the caller has given: here none",
        since="3.14",
    ),
    *_each(
        _EXECUTOR,
        ("test_python_finalization_error",),
        "lets the start of a Python thread fail; Raddle starts none for its executors",
        since="3.14",
    ),
    *_each(
        _EXECUTOR,
        (
            "test_failed_worker_replacement_breaks_pool",
            "test_force_shutdown_during_max_tasks_worker_exit",
            "test_gc_during_max_tasks_worker_exit_gh152967",
            "test_shutdown_no_wait_max_tasks_gh119592",
        ),
        _MANAGER,
        _FRESH,
        since="3.14",
    ),
    *_each(
        _EXECUTOR,
        ("test_max_tasks_per_child",),
        "wants max_tasks_per_child to be refused for forked workers, which Raddle replaces as any others",
        ("Fork",),
        since="3.14",
    ),
    *_each(
        _SHUTDOWN,
        ("test_cancel_futures",),
        "wants tasks to count as running that no worker has begun; Raddle cancels those too",
        since="3.14",
    ),
    *_each(_SHUTDOWN, ("test_del_shutdown", "test_shutdown_no_wait"), _MANAGER, since="3.14"),
    *_each(
        _SHUTDOWN,
        ("test_shutdown_gh_132969_case_1", "test_shutdown_gh_132969_case_2"),
        _MANAGER,
        _FRESH,
        since="3.14",
    ),
    *_each(_SHUTDOWN, ("test_processes_terminate",), _NO_WORKER, since="3.14"),
)
