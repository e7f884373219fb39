"""Everything that `multiprocessing` exports, on Raddle's primitives.

`from raddle import multiprocessing` in place of `import multiprocessing` is the whole migration, submodules included.
Processes are started as the stdlib starts them, by the start method that is set for both: `set_start_method` here is
the stdlib's. Locks, semaphores, events, conditions and queues live in shared memory and are native.
"""

import importlib as _importlib
import multiprocessing as _multiprocessing
from typing import TYPE_CHECKING

from raddle._internal.errors import OwnerDied
from raddle._internal.multiprocessing.contexts import DEFAULT as _DEFAULT

# As in the stdlib, what is exported are the default context's methods.
Array = _DEFAULT.Array
AuthenticationError = _DEFAULT.AuthenticationError
Barrier = _DEFAULT.Barrier
BoundedSemaphore = _DEFAULT.BoundedSemaphore
BufferTooShort = _DEFAULT.BufferTooShort
Condition = _DEFAULT.Condition
Event = _DEFAULT.Event
JoinableQueue = _DEFAULT.JoinableQueue
Lock = _DEFAULT.Lock
Manager = _DEFAULT.Manager
Pipe = _DEFAULT.Pipe
Pool = _DEFAULT.Pool
Process = _DEFAULT.Process
ProcessError = _DEFAULT.ProcessError
Queue = _DEFAULT.Queue
RLock = _DEFAULT.RLock
RawArray = _DEFAULT.RawArray
RawValue = _DEFAULT.RawValue
Semaphore = _DEFAULT.Semaphore
SimpleQueue = _DEFAULT.SimpleQueue
TimeoutError = _DEFAULT.TimeoutError  # noqa: A001
Value = _DEFAULT.Value
active_children = _DEFAULT.active_children
allow_connection_pickling = _DEFAULT.allow_connection_pickling
cpu_count = _DEFAULT.cpu_count
current_process = _DEFAULT.current_process
freeze_support = _DEFAULT.freeze_support
get_all_start_methods = _DEFAULT.get_all_start_methods
get_context = _DEFAULT.get_context
get_logger = _DEFAULT.get_logger
get_start_method = _DEFAULT.get_start_method
log_to_stderr = _DEFAULT.log_to_stderr
parent_process = _DEFAULT.parent_process
set_executable = _DEFAULT.set_executable
set_forkserver_preload = _DEFAULT.set_forkserver_preload
set_start_method = _DEFAULT.set_start_method

__all__ = [
    "Array",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BufferTooShort",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Manager",
    "OwnerDied",
    "Pipe",
    "Pool",
    "Process",
    "ProcessError",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "SimpleQueue",
    "TimeoutError",
    "Value",
    "active_children",
    "allow_connection_pickling",
    "cpu_count",
    "current_process",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "log_to_stderr",
    "parent_process",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
]

if not TYPE_CHECKING:
    _SUBMODULES = frozenset(
        {
            "connection",
            "context",
            "dummy",
            "forkserver",
            "heap",
            "managers",
            "pool",
            "popen_fork",
            "popen_forkserver",
            "popen_spawn_posix",
            "process",
            "queues",
            "reduction",
            "resource_sharer",
            "resource_tracker",
            "shared_memory",
            "sharedctypes",
            "spawn",
            "synchronize",
            "util",
        }
    )
    __all__ += [_name for _name in _multiprocessing.__all__ if _name not in __all__]

    def __getattr__(name):
        """Import a submodule at its first use, or look a name up that newer interpreters have added."""
        if name in _SUBMODULES:
            return _importlib.import_module(f"{__name__}.{name}")
        for place in (_DEFAULT, _multiprocessing):
            if not name.startswith("__") and hasattr(place, name):
                return getattr(place, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
