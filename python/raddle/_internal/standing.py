"""What a thread holds, what it waits for, and where it stands: for reports."""

from __future__ import annotations

import gc
import linecache
import os
import threading
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from raddle import _raddle

if TYPE_CHECKING:
    import asyncio

LOCKS = (_raddle.Lock, _raddle.RLock, _raddle.RWLock)
"""The classes whose objects tell who holds them."""

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STDLIB_THREADING = threading.__file__
_BOOTSTRAP = ("_bootstrap", "_bootstrap_inner", "run")


@dataclass(frozen=True, eq=False)
class Standing:
    """A thread, or an asyncio task in it, as it stands at a moment."""

    thread: threading.Thread | None
    """None for one that `threading` does not know."""

    ident: int
    """The thread's identity, as of `threading.get_ident()`."""

    name: str
    """The thread's name; a task's with the name of its thread."""

    holds: tuple[object, ...]
    """The locks that it holds, and what else somebody in the circle waits for: itself, if it is joined; the future of
    the task that it runs."""

    wants: object
    """What it waits for: a lock, a thread that it joins, a future, a queue."""

    where: str
    """`FILE:LINE in FUNCTION`: its innermost line that is not Raddle's."""

    stack: traceback.StackSummary = field(repr=False)
    """Where it stands, outermost call first."""

    acquired: tuple[str | None, ...] = field(repr=False, default=())
    """Where each of `holds` was acquired, if that is known: see `raddle.threading.track`."""

    task: asyncio.Task[Any] | None = None
    """The task, if it is one."""


Standing.__module__ = "raddle.threading"

Holds = Mapping[tuple[int, int | None], list[object]]
"""What everybody holds, by a thread's identity and a task's `id()`."""


def current_holds() -> dict[tuple[int, int | None], list[object]]:
    """Find what everybody holds at this moment.

    The garbage collector lists the locks, but for those that `gc.freeze` has put out of its sight: of these, the ones
    that somebody waits for.
    """
    holds: dict[tuple[int, int | None], list[object]] = {}

    def add(lock: Any) -> None:
        for ident, task in lock._holder():
            if ident is not None:
                holds.setdefault((ident, task), []).append(lock)

    wanted = {id(what): what for _, _, what, _ in _raddle.waits() if issubclass(type(what), LOCKS)}
    are_locks: dict[int, bool] = {}
    for thing in gc.get_objects():
        # Not isinstance: it asks the object, which may be a proxy of something that is gone. Not the class as a key: it
        # may have a hash of its own. All of them live as long as the list.
        kind = type(thing)
        is_lock = are_locks.get(id(kind))
        if is_lock is None:
            is_lock = are_locks[id(kind)] = issubclass(kind, LOCKS)
        if is_lock:
            wanted.pop(id(thing), None)
            add(thing)
    for lock in wanted.values():
        add(lock)
    return holds


def tasks_at(addresses: Collection[int]) -> list[asyncio.Task[Any]]:
    """Find the tasks with these `id()`s, as far as they still exist."""
    found = [thing for thing in gc.get_objects() if id(thing) in addresses] if addresses else []
    return [thing for thing in found if hasattr(type(thing), "get_stack")]


def stack_of(frame: FrameType | None) -> traceback.StackSummary:
    """Describe a frame and its callers, outermost first, as far as they are the user's."""
    if frame is None:
        return traceback.StackSummary()
    frames = list(traceback.walk_stack(frame))
    while frames and _is_raddles(frames[0][0].f_code):
        del frames[0]
    while frames and _starts_a_thread(frames[-1][0].f_code):
        del frames[-1]
    return traceback.StackSummary.extract(reversed(frames))


def stack_of_task(task: asyncio.Task[Any]) -> traceback.StackSummary:
    """Describe the frames of a task that is suspended, outermost first."""
    frames = [(frame, frame.f_lineno) for frame in task.get_stack()]
    while frames and _is_raddles(frames[-1][0].f_code):
        del frames[-1]
    return traceback.StackSummary.extract(frames)


def _is_raddles(code: CodeType) -> bool:
    return code.co_filename.startswith(_PACKAGE)


def _starts_a_thread(code: CodeType) -> bool:
    return code.co_name in _BOOTSTRAP and (code.co_filename == _STDLIB_THREADING or _is_raddles(code))


def place_in(stack: traceback.StackSummary) -> str:
    """Return the innermost line of a stack as `FILE:LINE in FUNCTION`; `native code` if there is none."""
    if not stack:
        return "native code"
    frame = stack[-1]
    return f"{frame.filename}:{frame.lineno} in {frame.name}"


def acquired_at(thing: object) -> str | None:
    """Return where a lock was acquired, as `FILE:LINE in FUNCTION`, if it remembers."""
    if not issubclass(type(thing), LOCKS):
        return None
    place = thing._acquired_at()  # type: ignore[attr-defined]
    if place is None:
        return None
    code, line = place
    return f"{code.co_filename}:{line} in {code.co_name}"


def standing(
    ident: int,
    task: asyncio.Task[Any] | None,
    wants: object,
    *,
    frames: Mapping[int, FrameType],
    holds: Holds,
    also: Iterable[object] = (),
) -> Standing:
    """Describe one who waits.

    Args:
        ident: the thread's identity.
        task: the asyncio task that waits, if it is not the thread.
        wants: what it waits for.
        frames: of all threads.
        holds: of all threads.
        also: what it is known to hold besides.
    """
    thread = threading._active.get(ident)  # type: ignore[attr-defined]
    name = f"thread {ident}" if thread is None else thread.name
    if task is not None:
        name = f"{task.get_name()} in {name}"
    held = list(holds.get((ident, None if task is None else id(task)), ()))
    held += [thing for thing in also if not any(thing is other for other in held)]
    stack = stack_of(frames.get(ident)) if task is None else stack_of_task(task)
    return Standing(
        thread=thread,
        ident=ident,
        name=name,
        holds=tuple(held),
        wants=wants,
        where=place_in(stack),
        stack=stack,
        acquired=tuple(map(acquired_at, held)),
        task=task,
    )


def show(thing: object) -> str:
    """Describe a thing for people, whatever its repr does."""
    try:
        text = repr(thing)
    except Exception as error:
        text = f"<{type(thing).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= 200 else f"{text[:197]}..."


def show_wanted(thing: object) -> str:
    """Describe what somebody waits for."""
    if issubclass(type(thing), threading.Thread):
        return f"the end of {show(thing)}"
    if issubclass(type(thing), _raddle.Future):
        return f"the result of {show(thing)}"
    return show(thing)


def show_held(thing: object, place: str | None) -> str:
    """Describe what somebody holds, and where it was acquired if that is known."""
    if issubclass(type(thing), threading.Thread):
        return "itself, which is joined"
    if issubclass(type(thing), _raddle.Future):
        return f"the task of {show(thing)}"
    if issubclass(type(thing), _raddle.Queue):
        return f"items of {show(thing)}, not reported by task_done()"
    return show(thing) if place is None else f"{show(thing)} acquired at {place}"


def describe(member: Standing) -> Iterator[str]:
    """Yield the lines that tell of one who waits, without its stack."""
    kind = "Thread" if member.task is None else "Task"
    yield f"{kind} {member.name!r} at {member.where}"
    for thing, place in zip(member.holds, member.acquired, strict=True):
        yield f"  holds {show_held(thing, place)}"
    yield f"  wants {show_wanted(member.wants)}"


def show_stack(stack: traceback.StackSummary) -> str:
    """Format a stack as tracebacks are, with the source lines as the files have them now."""
    linecache.checkcache()
    return "".join(stack.format()).rstrip("\n")


def current_frames() -> dict[int, FrameType]:
    """Return the innermost frame of every thread.

    To be cleared after use: the calling thread's leads to the function that has the result in a variable, a cycle that
    would keep the frames of all threads.
    """
    return _raddle.current_frames()
