"""An executor that is passed into a task of a worker process: a handle, whose tasks run in the parent's executor.

```text
 worker                                    parent
   Handle.submit ── REQUEST, a note ──▶ serve ──▶ a thread that may wait ──▶ Executor.submit
   a thread ◀────────── a pipe that the worker has made ◀────────── the future's callback
```

The parent finds the pipe through /proc, by the number that comes with each request; so it costs nothing where nobody
has a handle. While a task waits for futures of a handle, in whichever of Raddle's ways, its worker takes no part in the
count of workers: another one is started or woken in its place, and one worker is enough for any depth.

What a future of a handle is asked, whether its task runs or can still be cancelled, the parent answers in the same way
(`_Distant`): a task that nobody waits for any more is killed where it can be.

A handle of a handle, in a pool that a task has made, asks the parent's parent through the parent.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
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
    from types import TracebackType

    from typing_extensions import Self

    from raddle._internal.mapping import MapResults, Submit
    from raddle._internal.options import TaskView
    from raddle._internal.stats import ExecutorStats

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
        future: _Distant[T] = _Distant()
        future._lend_place()
        call = serialization.dumps((fn, args, kwargs, options), None)
        if options is not None and options.after:
            _Turn(options.after, future, lambda: self._send(future, call))
        else:
            self._send(future, call)
        self._futures.add(future)
        return future

    def _send(self, future: _Distant[Any], call: bytes) -> None:
        future.sent_as(_request(self._place, call, future._settle))

    def stats(self) -> ExecutorStats:
        """Tell how the executor is doing."""
        stats: ExecutorStats = _ask(self._place, "stats")
        return stats

    def resize(self, max_workers: int) -> None:
        """Change how many tasks the executor runs at once.

        Raises:
            ValueError, TypeError: as the executor's own method.
        """
        _ask(self._place, "resize", max_workers)

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
        futures = list(self._futures)
        if cancel_futures:
            for future in futures:
                future.cancel()
        if wait:
            from raddle._internal.waiting import wait as wait_for_all

            wait_for_all(futures)

    async def __aenter__(self) -> Self:
        """Enter; nothing is waited for."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut down and wait without blocking the loop; when the body was interrupted or cancelled, cancel the rest."""
        import asyncio

        interrupted = kind is not None and not issubclass(kind, Exception)
        self.shutdown(wait=False, cancel_futures=interrupted)
        if not interrupted:
            await asyncio.gather(*map(_end_of, self._futures))


async def _end_of(future: Future[Any]) -> None:
    with contextlib.suppress(Exception, concurrent.futures.CancelledError):
        await future


class _Distant(Future[T]):
    """The future of a task that an executor of the parent's runs, of which this process knows only the end."""

    def __init__(self) -> None:
        self._request: int | None = None
        self._is_told = False
        """Whether those know that it is cancelled who wait for it in the stdlib's way."""
        self.add_done_callback(_Distant._tell_of_cancellation)

    def sent_as(self, request: int) -> None:
        """Note the number under which the parent knows the task."""
        self._request = request
        if self.cancelled():  # meanwhile, so nobody was told
            self._tell_of_cancellation()

    def cancel(self) -> bool:
        """Cancel the task if it has not begun. Returns whether it is cancelled."""
        return self._withdraw("cancel")

    def terminate(self) -> bool:
        """Cancel the task if it has not begun, or kill the worker process that runs it. Returns whether it does."""
        return self._withdraw("terminate")

    def running(self) -> bool:
        """Tell whether a worker runs the task now."""
        return not self.done() and self._request is not None and bool(self._ask("running"))

    def _withdraw(self, verb: str) -> bool:
        if self._request is None:
            return super().cancel()
        if not self.done() and self._ask(verb) == "cancelled":
            super().cancel()
        return self.cancelled() or (verb == "terminate" and not self.done())

    def _ask(self, verb: str) -> object:
        return _ask((os.getpid(), self._request or 0), verb)

    def _tell_of_cancellation(self) -> None:
        """Have a task ended that nobody waits for: whoever awaited this future has been cancelled, for one."""
        if not self.cancelled():
            return
        if self._request is not None:
            _request((os.getpid(), self._request), b"terminate", _ignore)
        if not self._is_told:
            self._is_told = True
            self.set_running_or_notify_cancel()

    def _settle(self, body: bytes) -> None:
        if self.done() or body[:1] == b"C":
            super().cancel()
        elif self.set_running_or_notify_cancel():
            try:
                if body[:1] == b"R":
                    self.set_result(serialization.loads(body[1:], []))
                else:
                    self.set_exception(serialization.load_error(body[1:]))
            except BaseException as error:
                self.set_exception(error)


def _ignore(_body: bytes) -> None:
    pass


def _request(place: tuple[int, int], call: bytes, settle: Callable[[bytes], None]) -> int:
    """Ask the parent for something, and return the request's number.

    Args:
        place: of an executor, or of an earlier request of this process's.
        call: what to submit to the executor, or what to do with it (`_ACTS`) or with what was requested (`_withdraw`).
        settle: gets the answer, in another thread.

    Raises:
        RuntimeError: this process is no worker.
    """
    answers = _answers()
    number = answers.expect(settle)
    if not tell(REQUEST, serialization.dumps((os.getpid(), answers.fd, number, place, call), None)):
        answers.forget(number)
        raise RuntimeError("an executor can be used in the process that made it, and in its worker processes")
    return number


def _ask(place: tuple[int, int], verb: str, *arguments: object) -> Any:
    """Ask the parent, and wait for the answer. None to who must not wait: the thread that hears of answers."""
    if _answers().is_reading():
        _request(place, " ".join([verb, *map(str, arguments)]).encode(), _ignore)
        return None
    answer: Future[bytes] = Future()
    _request(place, " ".join([verb, *map(str, arguments)]).encode(), answer.set_result)
    body = answer.result()
    if body[:1] == b"R":
        return serialization.loads(body[1:], [])
    raise serialization.load_error(body[1:])


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
        self._expected: dict[int, Callable[[bytes], None]] = {}
        self._numbers = itertools.count(1)
        self._thread = threading.Thread(target=self._read, name="raddle-answers", daemon=True)
        self._thread.start()

    def is_reading(self) -> bool:
        """Tell whether the calling thread is the one to which everything is told."""
        return threading.current_thread() is self._thread

    def expect(self, settle: Callable[[bytes], None]) -> int:
        number = next(self._numbers)
        self._expected[number] = settle
        return number

    def forget(self, number: int) -> None:
        self._expected.pop(number, None)

    def _read(self) -> None:
        with open(self._reading, "rb") as answers:
            while header := answers.read(_FRAME.size):
                number, length = _FRAME.unpack(header)
                self._expected.pop(number, _ignore)(answers.read(length))


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


class _Task:
    """A task of a worker's, from its request to its end."""

    def __init__(self) -> None:
        self.future: concurrent.futures.Future[Any] | None = None
        self.withdrawn = False
        """Before it came to the executor."""


_tasks: dict[tuple[int, int], _Task] = {}
"""By the worker's process and the number of the request."""


def serve(body: bytes) -> None:
    """Do what a worker's handle asks for. Returns at once: submitting may wait for room in the executor's queue."""
    process, fd, number, place, call = serialization.loads(body, [])
    try:
        answer = _Answer(process, fd, number)
    except OSError:
        return  # the worker is gone
    verb, _, argument = call.partition(b" ")
    if place[0] == process or verb in _ACTS:
        _clerk(("asks", process)).put(lambda: _act(answer, place, verb.decode(), argument.decode()))
        return
    task = _tasks[process, number] = _Task()
    _clerk(place).put(lambda: _submit(answer, task, place, call))


_ACTS = frozenset({b"stats", b"resize"})
"""What is asked of an executor. No pickle begins so."""


def _act(answer: _Answer, place: tuple[int, int], verb: str, argument: str) -> None:
    """Answer what a worker asks of an executor, or of one of its tasks."""
    try:
        if verb == "stats":
            answer.say(find(*place).stats())  # type: ignore[attr-defined]  # Raddle's
        elif verb == "resize":
            answer.say(find(*place).resize(int(argument)))  # type: ignore[attr-defined]
        else:
            answer.say(_withdraw(place, verb))
    except BaseException as error:
        answer.fail(error)


def _withdraw(place: tuple[int, int], verb: str) -> object:
    """Cancel a task, end it, or tell whether it runs."""
    with _lock:
        task = _tasks.get(place)
        if task is None:
            return None  # it has ended
        if (future := task.future) is None:
            task.withdrawn = task.withdrawn or verb != "running"
            return "cancelled" if task.withdrawn else None
    if verb == "running":
        return future.running()
    if future.cancel():
        return "cancelled"
    if verb == "terminate" and isinstance(future, Future):
        future.terminate()
    return None


def _submit(answer: _Answer, task: _Task, place: tuple[int, int], call: bytes) -> None:
    key = answer.process, answer.number
    try:
        executor = find(*place)
        fn, args, kwargs, options = serialization.loads(call, [])
        with _lock:
            withdrawn = task.withdrawn
        if withdrawn:
            raise concurrent.futures.CancelledError
        if options is None:
            future = executor.submit(fn, *args, **kwargs)
        else:
            future = executor._submit_with(options, fn, args, kwargs)  # type: ignore[attr-defined]  # Raddle's
        with _lock:
            task.future, withdrawn = future, task.withdrawn
        if withdrawn and not future.cancel() and isinstance(future, Future):  # while it waited for room
            future.terminate()
    except BaseException as error:
        _tasks.pop(key, None)
        answer.fail(error)
    else:

        def tell(future: concurrent.futures.Future[Any]) -> None:
            _tasks.pop(key, None)
            _clerk(answer.process).put(lambda: answer.give(future))

        future.add_done_callback(tell)


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
        self.number = number
        # Opened while the worker is known to be there: its number may later be another process's.
        self._fd = os.open(f"/proc/{process}/fd/{fd}", os.O_WRONLY | os.O_CLOEXEC)

    def give(self, future: concurrent.futures.Future[Any]) -> None:
        try:
            self.say(future.result())
        except BaseException as error:
            self.fail(error)

    def say(self, value: object) -> None:
        self._write(b"R" + serialization.dumps(value, None))

    def fail(self, error: BaseException) -> None:
        cancelled = isinstance(error, concurrent.futures.CancelledError)
        self._write(b"C" if cancelled else b"E" + serialization.dump_error(error))

    def _write(self, body: bytes) -> None:
        frame = memoryview(_FRAME.pack(self.number, len(body)) + body)
        try:
            while frame:
                frame = frame[os.write(self._fd, frame) :]
        except OSError:
            pass  # the worker is gone
        finally:
            os.close(self._fd)
