"""The native half of Raddle, as type checkers see it. Private: import from `raddle` instead.

Written by hand. `python -m mypy.stubtest raddle._raddle` holds the signatures to the binary, and
`tests/typing/test_stub.py` the docstrings, which are here for editors. The classes are generic for type checkers only:
when a program runs, they take no `[…]`.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from concurrent.futures import Future as StdlibFuture
from pickle import PickleBuffer
from types import CodeType, FrameType, GenericAlias, ModuleType
from typing import Any, ClassVar, Generic, ParamSpec, Protocol, TypeAlias, TypeVar, final

from typing_extensions import Self, disjoint_base

from raddle._internal.future import Future as TaskFuture
from raddle._internal.hooked import Hooked, Later
from raddle._internal.workers import Workers

_P = ParamSpec("_P")
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_F = TypeVar("_F", bound=StdlibFuture[Any])

__all__ = [
    "AsCompleted",
    "AsyncWait",
    "AtomicInt",
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Future",
    "Latch",
    "LaunchSpec",
    "Lock",
    "MapIterator",
    "PoolEnd",
    "ProcessPool",
    "Queue",
    "QueueIterator",
    "RLock",
    "RWLock",
    "RWLockSide",
    "RemoteCallee",
    "RemoteCaller",
    "Seat",
    "Semaphore",
    "Shared",
    "SharedEvent",
    "SharedLock",
    "SharedQueue",
    "SharedRLock",
    "SharedSeat",
    "SharedSemaphore",
    "SharedWaiters",
    "SimpleQueue",
    "TaskOptions",
    "ThreadEnd",
    "ThreadPool",
    "__version__",
    "bind",
    "bind_multiprocessing",
    "bind_processes",
    "bind_queues",
    "current_frames",
    "die_with_parent",
    "disregard_terminal",
    "dump_with_shared",
    "find_shared",
    "finish_pools",
    "heap_pop",
    "heap_push",
    "limit_behind",
    "map_tasks",
    "open_shared",
    "raise_suspicions",
    "receive_object",
    "receive_offer",
    "send_object",
    "serve",
    "sleepers",
    "tell_parent",
    "tell_unraisable",
    "timer_is_idle",
    "track_acquisitions",
    "wait",
    "waits",
]

__version__: str

# The thread's identity, and a task's `id()`.
_Holder: TypeAlias = tuple[int | None, int | None]

class _AnyLock(Protocol):
    def acquire(self) -> Any: ...
    def release(self) -> Any: ...

@disjoint_base
class Future(Generic[_T]):
    def __new__(cls, *_args: object, **_kwargs: object) -> Self: ...
    def cancel(self) -> bool:
        """Cancels the task if it has not begun. Returns whether it is cancelled."""
    def terminate(self) -> bool:
        """Cancels the task if it has not begun, or kills the worker process that runs it. Returns whether it does.

        Another worker takes the place of one that is killed, and the task fails with `WorkerDied`, whatever its
        `retries`. A task that a thread runs can't be ended.
        """
    def cancelled(self) -> bool:
        """Whether the task was cancelled."""
    def running(self) -> bool:
        """Whether a worker runs the task now."""
    def done(self) -> bool:
        """Whether there is an outcome, or never will be."""
    def result(self, timeout: float | None = None) -> _T:
        """The task's result. Waits up to `timeout` seconds for it (None: for ever), a worker's slot being free meanwhile.

        Raises what the task raised, `CancelledError`, `TimeoutError` after `timeout`, and `ForkError` in a forked child.
        """  # noqa: E501
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The exception that the task raised, or None. Waits like `result`."""
    def add_done_callback(self, fn: Callable[[Self], object]) -> None:
        """Calls `fn(future)` when the future is done: in the thread that ends it, or at once when it is done already.

        What `fn` raises is logged to the logger `concurrent.futures` and goes no further.
        """
    def set_running_or_notify_cancel(self) -> bool:
        """For executors: marks the future as running. Returns False when it was cancelled.

        Raises `RuntimeError` when it runs or is done already.
        """
    def set_result(self, result: _T) -> None:
        """For executors: ends the future with a result. Raises `InvalidStateError` when it is done already."""
    def set_exception(self, exception: BaseException | None) -> None:
        """For executors: ends the future with an exception. Raises `InvalidStateError` when it is done already."""
    @property
    def name(self) -> str | None:
        """The task's name: the one given, or that of its callable; None for a future made by hand."""
    @property
    def start(self) -> float | None:
        """When the task (its last attempt) started, in seconds since 1970 as `time.time()` counts; None before."""
    @property
    def duration(self) -> float | None:
        """How long the task (its last attempt) ran, in seconds; None before its end."""
    @property
    def worker(self) -> str | None:
        """The name of the worker thread that ran the task first; None before."""
    def _add_awaiter(self) -> None: ...
    def _lend_place(self) -> None: ...
    def _remove_awaiter(self, cancelled: bool) -> None: ...
    def _remove_done_callback(self, callback: Callable[[Self], object]) -> None: ...
    def _get_snapshot(self) -> tuple[bool, bool, _T | None, BaseException | None]: ...
    # The stdlib's private fields, typed as in its own stubs; _condition and _waiters cannot be assigned.
    _condition: threading.Condition
    _waiters: list[Any]
    _state: str
    _result: _T | None
    _exception: BaseException | None

@disjoint_base
class ThreadPool:
    def __new__(cls, *_args: object, **_kwargs: object) -> Self: ...
    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> TaskFuture[_T]:
        """Schedules `fn(*args, **kwargs)` and returns its future.

        Waits while `max_pending` tasks are queued, or raises `ExecutorFull`, as the executor was made.
        Raises `RuntimeError` after shutdown, `BrokenThreadPool` after a failed initializer.
        """
    def _open(
        self, workers: Workers, max_workers: int, max_pending: int | None, raises_when_full: bool
    ) -> None: ...
    def _submit_with(
        self, options: TaskOptions, fn: Callable[..., _T], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> TaskFuture[_T]: ...
    def _map(
        self,
        fn: Callable[..., _T],
        items: Iterator[Any],
        *,
        submit: Callable[[Callable[..., _T], tuple[Any, ...], dict[str, Any]], StdlibFuture[_T]] | None,
        spread: bool,
        timeout: float | None,
        turn: int | None,
        buffersize: int | None,
        ordered: bool,
        return_exceptions: bool,
        priority: int,
    ) -> MapIterator[_T]: ...
    def _resize(self, max_workers: int) -> None: ...
    def _close(self, cancel_futures: bool) -> None: ...
    def _wait_ended(self, timeout: float | None = None) -> bool: ...
    def _stats(self) -> dict[str, int]: ...
    # The stdlib's private fields, typed as in its own stubs, but none can be assigned; _broken is False or a reason.
    _max_workers: int
    _shutdown: bool
    _broken: Any

@disjoint_base
class SharedLock:
    def __new__(cls, given: tuple[int, int] | None = None, /) -> Self: ...
    def acquire(self, block: bool = True, timeout: float | None = None) -> bool: ...
    def release(self) -> None: ...
    def locked(self) -> bool: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *args: object) -> None: ...
    def _name(self) -> tuple[int, int]: ...
    def _is_mine(self) -> bool: ...
    def _count(self) -> int: ...

@disjoint_base
class SharedRLock:
    def __new__(cls, given: tuple[int, int] | None = None, /) -> Self: ...
    def acquire(self, block: bool = True, timeout: float | None = None) -> bool: ...
    def release(self) -> None: ...
    def locked(self) -> bool: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *args: object) -> None: ...
    def _name(self) -> tuple[int, int]: ...
    def _is_mine(self) -> bool: ...
    def _count(self) -> int: ...

@disjoint_base
class SharedSemaphore:
    def __new__(cls, given: tuple[int, int] | None = None, /) -> Self: ...
    def _reset(self, value: int, limit: int, /) -> None: ...
    def acquire(self, block: bool = True, timeout: float | None = None) -> bool: ...
    def release(self) -> None: ...
    def get_value(self) -> int: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *args: object) -> None: ...
    def _limit(self) -> int: ...
    def _name(self) -> tuple[int, int]: ...

@disjoint_base
class SharedEvent:
    def __new__(cls, given: tuple[int, int] | None = None, /) -> Self: ...
    def is_set(self) -> bool: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...
    def _name(self) -> tuple[int, int]: ...

@final
class SharedSeat: ...

@final
class SharedWaiters:
    def __new__(cls, given: tuple[int, int] | None = None, /) -> Self: ...
    def enter(self) -> SharedSeat: ...
    def wait(self, seat: SharedSeat, timeout: float | None = None, /) -> None: ...
    def leave(self, seat: SharedSeat, /) -> bool: ...
    def notify(self, count: int, /) -> None: ...
    def __len__(self) -> int: ...
    def _name(self) -> tuple[int, int]: ...

@disjoint_base
class SharedQueue:
    def __new__(cls, strict: bool, given: tuple[int, int] | None = None, /) -> Self: ...
    def _set_limit(self, limit: int, /) -> None: ...
    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None: ...
    def get(self, block: bool = True, timeout: float | None = None) -> Any: ...
    def qsize(self) -> int: ...
    def empty(self) -> bool: ...
    def full(self) -> bool: ...
    def close(self) -> None: ...
    def _is_closed(self) -> bool: ...
    def _fds(self) -> tuple[int, int]: ...
    def _watch(self) -> None: ...
    def _sit(self, desk: int, /) -> None: ...
    def _clear_desk(self) -> None: ...
    def _taken_at(self, desk: int, /) -> int | None: ...
    def _done(self) -> None: ...
    def _join(self) -> None: ...

@final
class RemoteCaller:
    def __new__(cls) -> Self: ...
    def offer(self, fd: int, thing: object, /) -> None: ...
    def connect(self, fd: int, /) -> None: ...
    def send(self, request: tuple[Any, ...], /) -> None: ...
    def recv(self) -> tuple[Any, Any]: ...
    def close(self) -> None: ...

@final
class RemoteCallee:
    def serve(
        self,
        fd: int,
        objects: dict[str, Any],
        is_over: Callable[[], bool],
        answer: Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any],
        unreadable: Callable[[BaseException], Any],
        unserializable: Callable[[BaseException], Any],
        /,
    ) -> None: ...

@final
class TaskOptions:
    def __new__(
        cls,
        timeout: float | None,
        retries: int,
        retry_on: tuple[type[BaseException], ...],
        backoff: float,
        schedule: Callable[[int], float] | None,
        priority: int,
        name: str | None,
        after: tuple[StdlibFuture[Any], ...],
    ) -> Self: ...
    @property
    def after(self) -> tuple[StdlibFuture[Any], ...]: ...
    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]: ...

@final
class LaunchSpec:
    def __new__(
        cls,
        program: str,
        arguments: list[str],
        environment: list[tuple[str, str]] | None,
        preparation: bytes,
        zygote: bytes | None,
    ) -> Self: ...
    @staticmethod
    def own(fork: Callable[[bytes, list[int], list[int]], int]) -> LaunchSpec: ...

@final
class Shared(Generic[_T]):
    def __new__(cls, pickle: bytes, buffers: list[PickleBuffer], /) -> Self: ...
    def get(self) -> _T:
        """The object, as workers get it: made anew, its buffers read-only and not copied."""
    @property
    def nbytes(self) -> int:
        """How many bytes of shared memory it takes."""
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, int, list[int]]]: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@disjoint_base
class ProcessPool:
    def __new__(cls, *_args: object, **_kwargs: object) -> Self: ...
    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> TaskFuture[_T]:
        """Schedules `fn(*args, **kwargs)` in a worker process and returns its future.

        Waits while `max_pending` tasks are queued, or raises `ExecutorFull`, as the executor was made.
        Raises `RuntimeError` after shutdown, `BrokenProcessPool` when no worker can be made ready.
        """
    def _open(
        self,
        *,
        name: str,
        max_workers: int,
        max_pending: int | None,
        raises_when_full: bool,
        launch: LaunchSpec,
        order: Callable[[str, int], tuple[bytes, Iterable[int]]],
        arena_limit: int,
        max_tasks_per_child: int | None,
        max_memory_per_child: int | None,
        memory_limit: int | None,
        kill_grace: float,
        note: Callable[[str, int, bytes], object],
    ) -> None: ...
    def _submit_with(
        self, options: TaskOptions, fn: Callable[..., _T], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> TaskFuture[_T]: ...
    def _map(
        self,
        fn: Callable[..., _T],
        items: Iterator[Any],
        *,
        submit: Callable[[Callable[..., _T], tuple[Any, ...], dict[str, Any]], StdlibFuture[_T]] | None,
        spread: bool,
        timeout: float | None,
        turn: int | None,
        buffersize: int | None,
        ordered: bool,
        return_exceptions: bool,
        priority: int,
    ) -> MapIterator[_T]: ...
    def _resize(self, max_workers: int) -> None: ...
    def _close(self, cancel_futures: bool) -> None: ...
    def _kill(self, politely: bool) -> None: ...
    def _wait_ended(self, timeout: float | None = None) -> bool: ...
    def _end(self) -> PoolEnd: ...
    @property
    def _max_workers(self) -> int: ...
    @property
    def _shutdown(self) -> bool: ...
    _broken: Any
    def _pids(self) -> list[int]: ...
    def _arena_used(self) -> int: ...
    def _stats(self) -> dict[str, int]: ...

@final
class PoolEnd:
    def wait(self, timeout: float | None = None) -> bool: ...

@final
class Seat:
    def work(self, name: str, thread_id: int) -> bool: ...
    def give_up(self) -> None: ...
    @property
    def left(self) -> bool: ...

@final
class MapIterator(Generic[_T_co]):
    def __iter__(self) -> Self: ...
    def __next__(self) -> _T_co: ...
    def close(self) -> None: ...
    @property
    def progress(self) -> tuple[int, int]: ...

@final
class AsCompleted(Generic[_F]):
    def __new__(cls, fs: Iterable[_F], timeout: float | None = None) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> _F: ...
    def close(self) -> None: ...

@final
class Lock:
    def __new__(cls, *, fair: bool = False) -> Self: ...
    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Takes the lock. Waits for it if `blocking`, at most `timeout` seconds (-1: for ever). Returns whether it was taken.

        Raises `DeadlockError` as the policy says, and what signal handlers raise.
        """  # noqa: E501
    def release(self) -> None:
        """Frees the lock, whoever holds it. Raises `RuntimeError` when nobody does."""
    def locked(self) -> bool:
        """Whether somebody holds it."""
    def acquire_lock(self, blocking: bool = True, timeout: float = -1) -> bool:
        """`acquire`, as it was called once."""
    def release_lock(self) -> None:
        """`release`, as it was called once."""
    def locked_lock(self) -> bool:
        """`locked`, as it was called once."""
    def __enter__(self) -> bool: ...
    def __exit__(self, _kind: object, _error: object, _traceback: object) -> None: ...
    def acquire_async(self, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """`acquire` for coroutines: the lock belongs to the task then. Waits at most `timeout` seconds (None: for ever)."""  # noqa: E501
    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(self, kind: object, _error: object, _traceback: object) -> Awaitable[None]: ...
    def _async_wait(self) -> AsyncWait | None: ...
    def _at_fork_reinit(self) -> None: ...
    def _holder(self) -> list[_Holder]: ...
    def _acquired_at(self) -> tuple[CodeType, int] | None: ...

@disjoint_base
class RLock:
    def __new__(cls, *_args: object, fair: bool = False, **_kwargs: object) -> Self: ...
    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Takes the lock, once more if the caller holds it already. Arguments and result as of `Lock.acquire`.

        Raises `DeadlockError` when it closes a circle, and what signal handlers raise.
        """
    def release(self) -> None:
        """Gives up one hold. Raises `RuntimeError` when the caller has none."""
    def locked(self) -> bool:
        """Whether somebody holds it."""
    def __enter__(self) -> bool: ...
    def __exit__(self, _kind: object, _error: object, _traceback: object) -> None: ...
    def acquire_async(self, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """`acquire` for coroutines: the lock belongs to the task then. Waits at most `timeout` seconds (None: for ever)."""  # noqa: E501
    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(self, kind: object, _error: object, _traceback: object) -> Awaitable[None]: ...
    def _async_wait(self) -> AsyncWait | None: ...
    def _is_owned(self) -> bool: ...
    def _recursion_count(self) -> int: ...
    def _release_save(self) -> tuple[int, int]: ...
    def _acquire_restore(self, state: tuple[int, int]) -> None: ...
    def _at_fork_reinit(self) -> None: ...
    def _holder(self) -> list[_Holder]: ...
    def _acquired_at(self) -> tuple[CodeType, int] | None: ...

@disjoint_base
class Semaphore:
    def __init__(self, value: int = 1, *, fair: bool = False) -> None: ...
    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Takes a permit. Waits for one if `blocking`, at most `timeout` seconds (None: for ever). Returns whether it got one."""  # noqa: E501
    def release(self, n: int = 1) -> None:
        """Gives `n` permits back, to those who wait first of all. Anybody may do it.

        Raises `ValueError` when a `BoundedSemaphore` would have more permits than at first; then it stays as it was.
        """
    def __enter__(self) -> bool: ...
    def __exit__(self, _kind: object, _error: object, _traceback: object) -> None: ...
    def acquire_async(self, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """`acquire` for coroutines: waits at most `timeout` seconds (None: for ever)."""
    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(self, kind: object, _error: object, _traceback: object) -> Awaitable[None]: ...
    def _async_wait(self) -> AsyncWait | None: ...
    @property
    def _value(self) -> int: ...

class BoundedSemaphore(Semaphore):
    @property
    def _initial_value(self) -> int: ...

@disjoint_base
class Event:
    def __init__(self) -> None: ...
    def is_set(self) -> bool:
        """Whether it is set."""
    def isSet(self) -> bool:  # noqa: N802
        """Deprecated: `is_set`."""
    def set(self) -> None:
        """Sets it. Whoever waits goes on, even when it is cleared at once."""
    def clear(self) -> None:
        """Takes the flag back."""
    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is set, at most `timeout` seconds (None: for ever). Returns whether it was set."""
    def wait_async(self, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """`wait` for coroutines: `await event.wait_async()`, or `await event`."""
    def __await__(self) -> Generator[Any, None, bool]: ...
    def _async_wait(self) -> AsyncWait | None: ...
    def _at_fork_reinit(self) -> None: ...
    @property
    def _flag(self) -> bool: ...

@disjoint_base
class Condition:
    def __init__(self, lock: _AnyLock | None = None) -> None: ...
    def acquire(self, blocking: bool = ..., timeout: float = ...) -> bool:
        """Takes the lock: `acquire` of the lock."""
    def release(self) -> None:
        """Frees the lock: `release` of the lock."""
    def locked(self) -> bool:
        """Whether somebody holds the lock: `locked` of the lock."""
    def __enter__(self) -> bool: ...
    def __exit__(self, kind: object, error: object, traceback: object) -> None: ...
    def wait(self, timeout: float | None = None) -> bool:
        """Frees the lock, waits to be notified, and takes the lock again. Returns whether it was notified.

        It waits at most `timeout` seconds (None: for ever), not counting the time that it takes to get the lock.
        Raises `RuntimeError` when the caller does not hold the lock.
        """
    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        """Waits until `predicate()` is true, at most `timeout` seconds in all (None: for ever). Returns its last result."""  # noqa: E501
    def notify(self, n: int = 1) -> None:
        """Notifies `n` of those who wait, in the order in which they came. They go on once the lock is free.

        Raises `RuntimeError` when the caller does not hold the lock.
        """
    def notify_all(self) -> None:
        """Notifies all who wait.

        Raises `RuntimeError` when the caller does not hold the lock.
        """
    def notifyAll(self) -> None:  # noqa: N802
        """Deprecated: `notify_all`."""
    def acquire_async(self, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """`acquire` for coroutines, as of the lock."""
    def wait_async(self, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """`wait` for coroutines. The lock belongs to the task, and does so again whatever ends the wait."""
    def wait_for_async(
        self, predicate: Callable[[], _T], timeout: float | None = None
    ) -> Coroutine[Any, Any, _T]:
        """`wait_for` for coroutines: `predicate` is an ordinary function."""
    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(self, kind: object, _error: object, _traceback: object) -> Awaitable[None]: ...
    def _async_wait(self) -> AsyncWait | None: ...
    def _async_waits(self) -> tuple[AsyncWait, AsyncWait]: ...
    def _async_notification(self) -> AsyncWait: ...
    def _notify_another(self) -> None: ...
    def _is_owned(self) -> bool: ...
    def _release_save(self) -> Any: ...
    def _acquire_restore(self, state: Any) -> None: ...
    def _at_fork_reinit(self) -> None: ...
    @property
    def _lock(self) -> Any: ...
    @property
    def _waiters(self) -> list[None]: ...

@disjoint_base
class Barrier:
    def __init__(
        self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> None: ...
    def wait(self, timeout: float | None = None) -> int:
        """Waits until all parties have come. Returns this one's number among them, from 0 to one less than the parties.

        It waits at most `timeout` seconds (None: those of the barrier) for the others to come; once they have, it waits for the
        action to end.
        Raises `BrokenBarrierError` when the barrier is broken, or is broken or reset meanwhile; a wait that times out breaks it.
        """  # noqa: E501
    def reset(self) -> None:
        """Makes it as new. Those who wait get `BrokenBarrierError`."""
    def abort(self) -> None:
        """Breaks it: those who wait get `BrokenBarrierError`, and so do those who come before a `reset`."""
    @property
    def parties(self) -> int:
        """How many are needed."""
    @property
    def n_waiting(self) -> int:
        """How many have come and wait for others."""
    @property
    def broken(self) -> bool:
        """Whether it is broken."""

@final
class Latch:
    def __new__(cls, count: int) -> Self: ...
    def count_down(self, n: int = 1) -> int:
        """Counts down by `n`, at most to zero, and returns what is left. At zero it opens, for good."""
    @property
    def count(self) -> int:
        """What is left to count down."""
    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the count is zero, at most `timeout` seconds (None: for ever). Returns whether it is."""
    def wait_async(self, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """`wait` for coroutines: `await latch.wait_async()`, or `await latch`."""
    def __await__(self) -> Generator[Any, None, bool]: ...
    def _async_wait(self) -> AsyncWait | None: ...

@final
class RWLock:
    def __new__(cls, *, fair: bool = False) -> Self: ...
    def read(self) -> RWLockSide:
        """The lock as readers take it: in `with`, in `async with`, or by its `acquire` and `release`."""
    def write(self) -> RWLockSide:
        """The lock as a writer takes it: in `with`, in `async with`, or by its `acquire` and `release`."""
    def acquire_read(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Takes the lock to read. Arguments and result as of `Lock.acquire`.

        Raises `DeadlockError` when it closes a circle, `RuntimeError` when the caller writes, and what signal handlers raise.
        """  # noqa: E501
    def release_read(self) -> None:
        """Ends to read, as often as one began. Raises `RuntimeError` when the caller does not read."""
    def acquire_write(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Takes the lock to write. Arguments and result as of `Lock.acquire`.

        Raises `DeadlockError` when it closes a circle, such as when the caller holds the lock already, and what signal handlers
        raise.
        """  # noqa: E501
    def release_write(self) -> None:
        """Ends to write. Raises `RuntimeError` when the caller does not write."""
    def downgrade(self) -> None:
        """Turns the writer into a reader, without a moment in which somebody else could write. It ends by `release_read()`.

        Raises `RuntimeError` when the caller does not write.
        """  # noqa: E501
    def locked(self) -> bool:
        """Whether anybody holds it, to read or to write."""
    def _at_fork_reinit(self) -> None: ...
    def _holder(self) -> list[_Holder]: ...
    def _acquired_at(self) -> tuple[CodeType, int] | None: ...

@final
class RWLockSide:
    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Takes the lock. Waits for it if `blocking`, at most `timeout` seconds (-1: for ever). Returns whether it was taken.

        Raises `DeadlockError` when it closes a circle, `RuntimeError` when one who writes asks to read, and what signal handlers
        raise.
        """  # noqa: E501
    def release(self) -> None:
        """Gives it back. Raises `RuntimeError` when the caller does not hold it in this way."""
    def locked(self) -> bool:
        """Whether anybody holds it in this way."""
    def __enter__(self) -> bool: ...
    def __exit__(self, _kind: object, _error: object, _traceback: object) -> None: ...
    def acquire_async(self, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """`acquire` for coroutines: what it takes belongs to the task. Waits at most `timeout` seconds (None: for ever)."""  # noqa: E501
    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(self, kind: object, _error: object, _traceback: object) -> Awaitable[None]: ...
    def _async_wait(self) -> AsyncWait | None: ...

_Comparable: TypeAlias = AtomicInt | float

@final
class AtomicInt:
    def __new__(cls, value: int = 0) -> Self: ...
    def load(self) -> int:
        """Returns the value."""
    def store(self, value: int, /) -> None:
        """Sets the value."""
    def exchange(self, value: int, /) -> int:
        """Sets the value and returns the one before."""
    def compare_exchange(self, expected: int, new: int, /) -> tuple[bool, int]:
        """Sets the value to `new` if it is `expected`. Returns whether it was, and the value before."""
    def add(self, n: int = 1, /) -> int:
        """Adds `n` and returns the value before. Raises `OverflowError` when the sum does not fit."""
    def sub(self, n: int = 1, /) -> int:
        """Subtracts `n` and returns the value before. Raises `OverflowError` when the difference does not fit."""
    def and_(self, bits: int, /) -> int:
        """Keeps the bits that are set in `bits` too, and returns the value before."""
    def or_(self, bits: int, /) -> int:
        """Sets the bits that are set in `bits`, and returns the value before."""
    def xor(self, bits: int, /) -> int:
        """Flips the bits that are set in `bits`, and returns the value before."""
    def max(self, n: int, /) -> int:
        """Sets the value to `n` if that is greater, and returns the value before."""
    def min(self, n: int, /) -> int:
        """Sets the value to `n` if that is smaller, and returns the value before."""
    def __iadd__(self, n: int, /) -> Self: ...
    def __isub__(self, n: int, /) -> Self: ...
    def __int__(self) -> int: ...
    def __index__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __lt__(self, value: _Comparable, /) -> bool: ...
    def __le__(self, value: _Comparable, /) -> bool: ...
    def __gt__(self, value: _Comparable, /) -> bool: ...
    def __ge__(self, value: _Comparable, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class AsyncWait:
    def attempt(self) -> bool: ...
    def arm(self, arrival: asyncio.Future[None]) -> None: ...
    def abandon(self) -> bool: ...
    def pass_on(self) -> None: ...
    def expire(self) -> None: ...
    @property
    def expired(self) -> bool: ...

@final
class ThreadEnd:
    def __new__(cls) -> Self: ...
    def open(self) -> None: ...
    def wait(self, thread: threading.Thread, timeout: float | None = None) -> bool: ...

@disjoint_base
class Queue(Generic[_T]):
    def __init__(self, maxsize: int = 0) -> None: ...
    def put(self, item: _T, block: bool = True, timeout: float | None = None) -> None:
        """Puts an item. While the queue is full it waits if `block`, at most `timeout` seconds.

        Raises `Full` when there is no room by then, `ShutDown` when the queue has been shut down.
        """
    def get(self, block: bool = True, timeout: float | None = None) -> _T:
        """Takes the next item. While the queue is empty it waits if `block`, at most `timeout` seconds.

        Raises `Empty` when there is none by then, `ShutDown` when the queue is empty and has been shut down.
        """
    def put_nowait(self, item: _T) -> None:
        """`put(item, block=False)`."""
    def get_nowait(self) -> _T:
        """`get(block=False)`."""
    def get_many(self, n: int, block: bool = True, timeout: float | None = None) -> list[_T]:
        """Takes the next `n` items, or as many as there are, at least one. Waits for the first one as `get` does.

        If a hook, or a `get` of a subclass, is interrupted in the middle, by Ctrl-C for one, the exception has an attribute
        `taken`: the list of the items that were taken before.
        """  # noqa: E501
    def put_many(self, iterable: Iterable[_T], block: bool = True, timeout: float | None = None) -> None:
        """Puts the items of an iterable in their order, each as soon as there is room; a list's or a tuple's all at once.

        Waits if `block`, at most `timeout` seconds in all. What ends it early, such as `Full`, `ShutDown` or Ctrl-C, has an
        attribute `unput`: an iterator over the items that were not put.
        """  # noqa: E501
    def task_done(self) -> None:
        """Reports that the work on an item is finished. Raises `ValueError` when more is reported than was put."""
    def join(self) -> None:
        """Waits until the work on all items that were put has been reported as finished."""
    def shutdown(self, immediate: bool = False) -> None:
        """Closes the queue: whoever puts, or gets from it when it is empty, finds `ShutDown` raised.

        With `immediate`, the items are dropped, and count as finished.
        """
    def qsize(self) -> int:
        """How many items there are."""
    def empty(self) -> bool:
        """Whether there is no item."""
    def full(self) -> bool:
        """Whether there are as many items as it holds."""
    def __iter__(self) -> QueueIterator[_T]: ...
    @property
    def maxsize(self) -> int:
        """How many items it holds at most; zero or less for any number. May be changed."""
    @maxsize.setter
    def maxsize(self, maxsize: int) -> None: ...
    def _hooked(self) -> Hooked: ...
    def _is_hooked(self) -> bool: ...
    def _unfinished(self) -> int: ...
    def _is_shut_down(self) -> bool: ...
    def _try_get(self) -> _T | Later: ...
    def _try_put(self, item: _T) -> bool: ...
    def _try_get_many(self, n: int) -> list[_T]: ...
    def _try_put_many(self, pending: list[_T], iterator: Iterator[_T]) -> bool: ...
    def _wait_for_items(self) -> AsyncWait: ...
    def _wait_for_room(self) -> AsyncWait: ...
    def _wait_for_end(self) -> AsyncWait: ...
    def __setattr__(self, name: str, value: object, /) -> None: ...
    def __delattr__(self, name: str, /) -> None: ...

@final
class QueueIterator(Generic[_T_co]):
    def __iter__(self) -> Self: ...
    def __next__(self) -> _T_co: ...

@disjoint_base
class SimpleQueue(Generic[_T]):
    def __new__(cls) -> Self: ...
    def put(self, item: _T, block: bool = True, timeout: float | None = None) -> None:
        """Puts an item, at once. `block` and `timeout` are ignored."""
    def put_nowait(self, item: _T) -> None:
        """Puts an item."""
    def get(self, block: bool = True, timeout: float | None = None) -> _T:
        """Takes the next item. While there is none it waits if `block`, at most `timeout` seconds. Raises `Empty` after that."""  # noqa: E501
    def get_nowait(self) -> _T:
        """Takes the next item, or raises `Empty`."""
    def aget(self, timeout: float | None = None) -> Coroutine[Any, Any, _T]:
        """Takes the next item, in a coroutine. While there is none it waits, at most `timeout` seconds. Raises `Empty` after that."""  # noqa: E501
    def qsize(self) -> int:
        """How many items there are."""
    def empty(self) -> bool:
        """Whether there is no item."""
    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias: ...
    def _try_get(self) -> _T | Later: ...
    def _is_hooked(self) -> bool: ...
    def _wait_for_items(self) -> AsyncWait: ...

def wait(
    fs: Iterable[_F], timeout: float | None = None, return_when: str = "ALL_COMPLETED"
) -> tuple[set[_F], set[_F]]: ...
def bind(namespace: ModuleType, /) -> None: ...
def dump_with_shared(dump: Callable[[], _T], /) -> _T: ...
def find_shared(identity: list[int], /) -> Any: ...
def open_shared(fd: int, identity: list[int], /) -> Any: ...
def bind_processes(
    broken_process_pool: type[BaseException],
    worker_died: type[BaseException],
    not_deserializable: type[BaseException],
    /,
) -> None: ...
def serve(
    channel: int,
    bell: int,
    arguments: int,
    results: int,
    prepare: Callable[[], object],
    run_coroutine: Callable[[Coroutine[Any, Any, object]], object],
    max_memory: int | None,
    /,
) -> None: ...
def bind_queues(namespace: ModuleType, /) -> None: ...
def tell_parent(kind: int, body: bytes, /) -> bool: ...
def disregard_terminal() -> None: ...
def die_with_parent(parent: int, /, *, group: bool) -> bool: ...
def limit_behind(number: int, /) -> str: ...
def bind_multiprocessing(namespace: ModuleType, /) -> None: ...
def receive_object(fd: int, /) -> Any: ...
def receive_offer(fd: int, /) -> tuple[Any, RemoteCallee | None]: ...
def send_object(fd: int, thing: object, /) -> None: ...
def heap_push(heap: list[Any], item: object, /) -> None: ...
def heap_pop(heap: list[Any], /) -> Any: ...
def finish_pools(cancel: bool) -> None: ...
def map_tasks(
    executor: object,
    fn: Callable[..., _T],
    items: Iterator[tuple[Any, ...]],
    /,
    *,
    submit: Callable[[Callable[..., _T], tuple[Any, ...], dict[str, Any]], StdlibFuture[_T]],
    timeout: float | None,
    buffersize: int | None,
    ordered: bool,
    return_exceptions: bool,
) -> MapIterator[_T]: ...
def current_frames() -> dict[int, FrameType]: ...
def waits() -> list[tuple[int, asyncio.Task[Any] | None, object, bool]]: ...
def raise_suspicions(on: bool, /) -> None: ...
def sleepers() -> list[int]: ...
def timer_is_idle() -> bool | None: ...
def tell_unraisable(error: BaseException, place: object, /) -> None: ...
def track_acquisitions(on: bool, /) -> bool: ...
