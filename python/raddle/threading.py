"""Everything that `threading` exports, on Raddle's primitives, and deadlocks that say their name.

`from raddle import threading` in place of `import threading` is the whole migration. What is not Raddle's own is the
stdlib's, its state included: a hook that is set here is set there.
"""

import sys
import threading as _threading
from threading import (
    TIMEOUT_MAX,
    BrokenBarrierError,
    ExceptHookArgs,
    ThreadError,
    active_count,
    current_thread,
    enumerate,
    get_ident,
    get_native_id,
    getprofile,
    gettrace,
    local,
    main_thread,
    setprofile,
    settrace,
    stack_size,
)
from typing import TYPE_CHECKING

from raddle._internal.deadlocks import deadlock_policy, track
from raddle._internal.dumping import dump, register, unregister
from raddle._internal.errors import DeadlockError, DeadlockWarning
from raddle._internal.primitives import (
    AtomicInt,
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    Latch,
    Lock,
    RLock,
    RWLock,
    Semaphore,
)
from raddle._internal.replacement import replace as _replace
from raddle._internal.standing import Standing
from raddle._internal.threads import Thread, Timer

if TYPE_CHECKING:
    from threading import excepthook

    if sys.version_info >= (3, 12):
        from threading import setprofile_all_threads, settrace_all_threads

__all__ = [
    "TIMEOUT_MAX",
    "AtomicInt",
    "Barrier",
    "BoundedSemaphore",
    "BrokenBarrierError",
    "Condition",
    "DeadlockError",
    "DeadlockWarning",
    "Event",
    "ExceptHookArgs",
    "Latch",
    "Lock",
    "RLock",
    "RWLock",
    "Semaphore",
    "Standing",
    "Thread",
    "ThreadError",
    "Timer",
    "active_count",
    "current_thread",
    "deadlock_policy",
    "dump",
    "enumerate",
    "excepthook",
    "get_ident",
    "get_native_id",
    "getprofile",
    "gettrace",
    "local",
    "main_thread",
    "register",
    "setprofile",
    "settrace",
    "stack_size",
    "track",
    "unregister",
]
if TYPE_CHECKING:
    if sys.version_info >= (3, 12):
        __all__ += ["setprofile_all_threads", "settrace_all_threads"]
else:
    # Code that reaches for what the stdlib makes its locks of gets ours as well.
    _RLock = _CRLock = RLock
    _allocate_lock = Lock
    _replace(__name__, _threading)
