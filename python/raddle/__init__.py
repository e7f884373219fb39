"""Raddle: one concurrency runtime for Python, written in Rust.

| where | what |
|---|---|
| `raddle.futures` | everything that `concurrent.futures` exports, on Raddle's threads and worker processes |
| `raddle` | of these, what tasks and futures need, and the errors that Raddle adds |

Each name is imported when it is first asked for (PEP 562): worker processes import this package too, and should not
wait for what they don't use, asyncio above all.
"""

# A type checker takes this for true, whatever is assigned; importing `typing` would take longer than all the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from raddle._internal import __version__
    from raddle._internal.errors import (
        DependencyFailed,
        ExecutorFull,
        ForkError,
        NotSerializable,
        TaskTimeout,
    )
    from raddle._internal.processes.errors import NotDeserializable, WorkerDied
    from raddle._internal.sharing import Shared, share
    from raddle.futures import (
        ALL_COMPLETED,
        FIRST_COMPLETED,
        FIRST_EXCEPTION,
        BrokenExecutor,
        CancelledError,
        Executor,
        ExecutorStats,
        Future,
        InvalidStateError,
        ProcessPoolExecutor,
        ThreadPoolExecutor,
        TimeoutError,
        as_completed,
        wait,
    )

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "BrokenExecutor",
    "CancelledError",
    "DependencyFailed",
    "Executor",
    "ExecutorFull",
    "ExecutorStats",
    "ForkError",
    "Future",
    "InvalidStateError",
    "NotDeserializable",
    "NotSerializable",
    "ProcessPoolExecutor",
    "Shared",
    "TaskTimeout",
    "ThreadPoolExecutor",
    "TimeoutError",
    "WorkerDied",
    "__version__",
    "as_completed",
    "share",
    "wait",
]

if not TYPE_CHECKING:  # or every name would exist, typing errors included
    _ELSEWHERE = {
        "Shared": "raddle._internal.sharing",
        "NotDeserializable": "raddle._internal.processes.errors",
        "WorkerDied": "raddle._internal.processes.errors",
        "share": "raddle._internal.sharing",
        "__version__": "raddle._internal",
        **dict.fromkeys(
            ("DependencyFailed", "ExecutorFull", "ForkError", "NotSerializable", "TaskTimeout"),
            "raddle._internal.errors",
        ),
    }

    def __getattr__(name: str) -> object:
        """Import a name from where it is made, once."""
        if name == "futures":
            # `import raddle` is enough for `raddle.futures`. (The import makes it an attribute.)
            return __import__("raddle.futures").futures
        if name in __all__:
            home = __import__(_ELSEWHERE.get(name, "raddle.futures"), fromlist=(name,))
            value = globals()[name] = getattr(home, name)
            return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "futures"} - {"TYPE_CHECKING"})
