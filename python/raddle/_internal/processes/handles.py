"""An executor that is passed into a task of a worker process: a handle, whose tasks run in the parent's executor.

```text
 worker                                    parent
   Handle.submit ── REQUEST, a note ──▶ serve ──▶ a thread that may wait ──▶ Executor.submit
   a thread ◀────────── a pipe that the worker has made ◀────────── the future's callback
```

The parent finds the pipe through /proc, by the number that comes with each request; so it costs nothing where nobody
has a handle. While a task waits for futures of a handle, in whichever of Raddle's ways, its worker takes no part in the
count of workers: another one is started or woken in its place, and one worker is enough for any depth.

A handle of a handle, in a pool that a task has made, asks the parent's parent through the parent.
"""

from __future__ import annotations

import concurrent.futures
import functools
import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future as StdlibFuture
from struct import Struct
from typing import TYPE_CHECKING, Any, TypeVar

from raddle import _raddle
from raddle._internal import (
    bound,  # noqa: F401  (what a future needs of Python)
    serialization,
)
from raddle._internal.errors import DependencyFailed
from raddle._internal.future import Future
from raddle._internal.processes.forwarding import tell
from raddle._internal.processes.notes import REQUEST

if TYPE_CHECKING:
    from raddle._internal.mapping import MapResults, Submit
    from raddle._internal.options import TaskView

T = TypeVar("T")

_numbers = itertools.count(1)
_by_number: weakref.WeakValueDictionary[int, concurrent.futures.Executor] = weakref.WeakValueDictionary()
_number_of: weakref.WeakKeyDictionary[concurrent.futures.Executor, int] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def reduce(executor: concurrent.futures.Executor) -> tuple[Any, ...]:
    """Pickle an executor of this process."""
    with _lock:
        number = _number_of.get(executor)
        if number is None:
            number = _number_of[executor] = next(_numbers)
            _by_number[number] = executor
    return find, (os.getpid(), number)


def find(process: int, number: int) -> concurrent.futures.Executor:
    """Return the executor where it is this process's, or a handle.

    Raises:
        RuntimeError: it is gone.
    """
    if process != os.getpid():
        return Handle(process, number)
    executor = _by_number.get(number)
    if executor is None:
        raise RuntimeError("the executor of this handle is gone")
    return executor


class Handle(concurrent.futures.Executor):
    """An executor of the parent's, in a worker. Safe across threads; it is of no use to a child of the worker."""

    def __init__(self, process: int, number: int) -> None:
        self._place = process, number
        self._shut_down = False
        self._futures: weakref.WeakSet[Future[Any]] = weakref.WeakSet()

    def __reduce__(self) -> tuple[Any, ...]:
        return find, self._place

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Schedule a call in the parent's executor.

        Raises:
            RuntimeError: this process is no worker; or, from the future, the executor is shut down.
        """
        return self._submit_with(None, fn, args, kwargs)

    def options(
        self,
        *,
        timeout: float | None = None,
        retries: int = 0,
        retry_on: type[BaseException] | Iterable[type[BaseException]] = (Exception,),
        backoff: float | Callable[[int], float] | None = None,
        priority: int = 0,
        name: str | None = None,
        after: Iterable[StdlibFuture[Any]] = (),
    ) -> TaskView:
        """Look at the executor through options, as its own method does; `backoff` is called where the executor is."""
        from raddle._internal.options import make_view

        return make_view(
            self,
            timeout=timeout,
            retries=retries,
            retry_on=retry_on,
            backoff=backoff,
            priority=priority,
            name=name,
            after=after,
        )

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: bool = False,
    ) -> MapResults[T]:
        """Call `fn` with the items of the iterables, each as a task of its own."""
        from raddle._internal.mapping import MapArguments, start_map

        arguments = MapArguments(
            fn, iterables, timeout, chunksize, buffersize, ordered, progress, return_exceptions
        )
        return start_map(self, arguments, submit=lambda fn, args, kwargs: self.submit(fn, *args, **kwargs))

    def _submit_with(
        self,
        options: _raddle.TaskOptions | None,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Future[T]:
        if self._shut_down:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[T] = Future()
        future._lend_place()
        call = serialization.dumps((fn, args, kwargs, options), None)
        if options is not None and options.after:
            _Turn(options.after, future, lambda: self._send(future, call))
        else:
            self._send(future, call)
        self._futures.add(future)
        return future

    def _send(self, future: Future[Any], call: bytes) -> None:
        number = _answers().expect(future)
        contents = (os.getpid(), _answers().fd, number, self._place, call)
        if not tell(REQUEST, serialization.dumps(contents, None)):
            _answers().forget(number)
            raise RuntimeError(
                "an executor can be used in the process that made it, and in its worker processes"
            )

    def _map(
        self,
        fn: Callable[..., T],
        items: Iterator[Any],
        *,
        submit: Submit | None,
        spread: bool,
        turn: int | None,  # noqa: ARG002  (each item is a task)
        priority: int,
        **options: Any,
    ) -> MapResults[T]:
        if submit is None:
            ranked = _raddle.TaskOptions(None, 0, (), 0.0, None, priority, None, ())
            submit = functools.partial(self._submit_with, ranked)
        tuples = items if spread else ((item,) for item in items)
        return _raddle.map_tasks(self, fn, tuples, submit=submit, **options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further tasks through this handle; the executor itself goes on."""
        self._shut_down = True
        for future in list(self._futures):
            if cancel_futures:
                future.cancel()
            elif wait:
                future.exception()


class _Turn:
    """Has a task sent when the futures that it comes after have ended well; or its own fails."""

    def __init__(
        self, others: tuple[StdlibFuture[Any], ...], future: Future[Any], send: Callable[[], None]
    ) -> None:
        self._future = future
        self._send = send
        self._missing = len(others)
        self._lock = threading.Lock()
        for other in others:
            other.add_done_callback(self._arrive)

    def _arrive(self, other: StdlibFuture[Any]) -> None:
        cause = concurrent.futures.CancelledError() if other.cancelled() else other.exception()
        with self._lock:
            over = self._missing <= 0
            self._missing = 0 if cause is not None else self._missing - 1
            if over or self._missing:
                return
        if self._future.cancelled():
            return
        if cause is not None:
            failed = DependencyFailed(f"a task that this one comes after failed: {other}")
            failed.__cause__ = cause
            self._fail(failed)
            return
        try:
            self._send()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._future.set_running_or_notify_cancel():
            self._future.set_exception(error)


_FRAME = Struct("<QQ")


class _Answers:
    """What a worker waits for, and the thread to which it is told."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._reading, writing = os.pipe()
        self.fd = writing
        """Where the parent writes, by its number here; kept open, so that the pipe has an end only with the process."""
        self._expected: dict[int, Future[Any]] = {}
        self._numbers = itertools.count()
        threading.Thread(target=self._read, name="raddle-answers", daemon=True).start()

    def expect(self, future: Future[Any]) -> int:
        number = next(self._numbers)
        self._expected[number] = future
        return number

    def forget(self, number: int) -> None:
        self._expected.pop(number, None)

    def _read(self) -> None:
        with open(self._reading, "rb") as answers:
            while header := answers.read(_FRAME.size):
                number, length = _FRAME.unpack(header)
                self._settle(self._expected.pop(number, None), answers.read(length))

    @staticmethod
    def _settle(future: Future[Any] | None, body: bytes) -> None:
        if future is None or not future.set_running_or_notify_cancel():
            return
        try:
            if body[:1] == b"R":
                future.set_result(serialization.loads(body[1:], []))
            else:
                future.set_exception(serialization.load_error(body[1:]))
        except BaseException as error:
            future.set_exception(error)


_own: _Answers | None = None


def _answers() -> _Answers:
    global _own
    with _lock:
        if _own is None or _own.process != os.getpid():
            _own = _Answers()
        return _own


def _forget_locks() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_locks)


# ------------------------------------------------------------------------------------------------ the parent's side


def serve(body: bytes) -> None:
    """Do what a worker's handle asks for. Returns at once: submitting may wait for room in the executor's queue."""
    process, fd, number, place, call = serialization.loads(body, [])
    try:
        answer = _Answer(process, fd, number)
    except OSError:
        return  # the worker is gone
    _clerk(place).put(lambda: _submit(answer, place, call))


def _submit(answer: _Answer, place: tuple[int, int], call: bytes) -> None:
    try:
        executor = find(*place)
        fn, args, kwargs, options = serialization.loads(call, [])
        if options is None:
            future = executor.submit(fn, *args, **kwargs)
        else:
            future = executor._submit_with(options, fn, args, kwargs)  # type: ignore[attr-defined]  # Raddle's
    except BaseException as error:
        answer.fail(error)
    else:
        future.add_done_callback(lambda future: _clerk(answer.process).put(lambda: answer.give(future)))


class _Clerk:
    """Does one thing after the other, each of which may wait, in a thread that ends when nothing is left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._work: deque[Callable[[], None]] = deque()
        self._busy = False

    def put(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._work.append(work)
            if self._busy:
                return
            self._busy = True
        threading.Thread(target=self._run, name="raddle-handles", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._work:
                    self._busy = False
                    return
                work = self._work.popleft()
            work()


_clerks: weakref.WeakValueDictionary[object, _Clerk] = weakref.WeakValueDictionary()


def _clerk(key: object) -> _Clerk:
    """Return the one who sees to an executor, or to a worker; kept for as long as it has something to do."""
    with _lock:
        clerk = _clerks.get(key)
        if clerk is None:
            clerk = _clerks[key] = _Clerk()
        return clerk


class _Answer:
    """The way back to a worker."""

    def __init__(self, process: int, fd: int, number: int) -> None:
        self.process = process
        self._number = number
        # Opened while the worker is known to be there: its number may later be another process's.
        self._fd = os.open(f"/proc/{process}/fd/{fd}", os.O_WRONLY | os.O_CLOEXEC)

    def give(self, future: concurrent.futures.Future[Any]) -> None:
        try:
            body = b"R" + serialization.dumps(future.result(), None)
        except BaseException as error:
            self.fail(error)
        else:
            self._write(body)

    def fail(self, error: BaseException) -> None:
        self._write(b"E" + serialization.dump_error(error))

    def _write(self, body: bytes) -> None:
        frame = memoryview(_FRAME.pack(self._number, len(body)) + body)
        try:
            while frame:
                frame = frame[os.write(self._fd, frame) :]
        except OSError:
            pass  # the worker is gone
        finally:
            os.close(self._fd)
