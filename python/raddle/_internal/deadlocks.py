"""What is told of a deadlock, and to whom.

The native half finds circles of threads that wait for each other, and asks `report_deadlock` what to do. A circle that
nobody outside can break is an error in the thread that closed it. One that may be broken, because there is a plain
`Lock` in it, which any thread may release, is what the policy says: a warning, once, or an error as well.
"""

from __future__ import annotations

import itertools
import threading
import warnings
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from raddle import _raddle
from raddle._internal.errors import DeadlockError, DeadlockWarning
from raddle._internal.standing import Standing, current_frames, current_holds, describe, show_stack, standing

if TYPE_CHECKING:
    import asyncio

Policy = Literal["warn", "raise", "off"]

_policy: Policy = "warn"

# Circles that have been warned of, each as the threads' numbers and the lines where they stood. An identity of a thread
# is used again after its end; these numbers are not. The oldest are forgotten: at worst they are told of once more.
_warned: deque[frozenset[tuple[int, str]]] = deque(maxlen=256)
_numbers: weakref.WeakKeyDictionary[threading.Thread, int] = weakref.WeakKeyDictionary()
_counter = itertools.count(1)


def deadlock_policy(policy: Policy) -> Policy:
    """Choose what happens when a circle of waits is closed in which there is a plain `Lock`.

    Any thread may release such a lock, so that the circle need not be a deadlock; most of them are. Circles of locks
    that only their holders can release always raise `DeadlockError`.

    Args:
        policy: `"warn"`, the default: a `DeadlockWarning` with all stacks when the circle has stood for half a second,
            once for the same threads at the same lines; `"raise"`: a `DeadlockError` at once; `"off"`: nothing.

    Returns:
        The policy so far.

    Raises:
        ValueError: there is no such policy.

    >>> from raddle import threading
    >>> before = threading.deadlock_policy("raise")
    >>> lock = threading.Lock()
    >>> with lock:
    ...     try:
    ...         lock.acquire()
    ...     except threading.DeadlockError as error:
    ...         print(len(error.members), "thread, which waits for itself")
    1 thread, which waits for itself
    >>> threading.deadlock_policy(before)
    'raise'
    """
    global _policy
    if policy not in ("warn", "raise", "off"):
        raise ValueError(f"the policy is 'warn', 'raise' or 'off', not {policy!r}")
    before, _policy = _policy, policy
    _raddle.raise_suspicions(policy == "raise")
    return before


def track(on: bool) -> bool:
    """Have locks remember where they are acquired, for reports. Costs a look at the caller's frame each time.

    Args:
        on: whether they do from now on. Locks that are held already don't know.

    Returns:
        Whether they did so far.
    """
    return _raddle.track_acquisitions(on)


def report_deadlock(
    members: list[tuple[int, asyncio.Task[Any] | None, object]],
    presumed: bool,
    lasting: bool,
    returns: bool,
) -> BaseException | None:
    """Tell of a deadlock that the calling thread has closed.

    Args:
        members: the identity of each thread in the circle, the task if one waits, and what it waits for, which the next
            one holds. The calling thread is the first.
        presumed: somebody outside could break the circle.
        lasting: nobody has for half a second or more. A thread that takes its own lock again to wait until another one
            releases it is no deadlock, and mostly over by then.
        returns: the calling thread takes back a condition's lock after its wait. It has to have it, whatever comes, so
            it is warned at most; another member may be the one that gets the error.

    Returns:
        The exception to raise, or None to wait on.
    """
    if presumed and (_policy == "off" or (_policy == "warn" and not lasting)):
        return None
    frames, holds = current_frames(), current_holds()
    told = []
    try:
        for index, (ident, task, wants) in enumerate(members):
            wanted_of_it = members[index - 1][2]
            told.append(standing(ident, task, wants, frames=frames, holds=holds, also=[wanted_of_it]))
    finally:
        frames.clear()
    if returns:
        return _warn(told, _RETURNS)
    if not presumed or _policy == "raise":
        return DeadlockError(_message(told, "would close"), tuple(told))
    return _warn(told, _PRESUMED)


def _message(members: list[Standing], closes: str) -> str:
    if len(members) == 1:
        first = f"this call {closes} a circle of one thread, which waits for itself"
    else:
        first = f"this call {closes} a circle of {len(members)} threads, each of which waits for the next one"
    return "\n".join([first, *(line for member in members for line in describe(member))])


_PRESUMED = "(A Lock may be released by any thread: see raddle.threading.deadlock_policy.)"
_RETURNS = "(A wait on a condition ends with the lock held: this thread goes on waiting for it.)"


def _warn(members: list[Standing], remark: str) -> DeadlockWarning | None:
    """Warn of a circle that has not been warned of; returns the warning if the user has made it an error."""
    circle = frozenset((_number(member), member.where) for member in members)
    if circle in _warned:
        return None
    _warned.append(circle)
    parts = [f"this may be a deadlock: {_message(members, 'closes')}"]
    parts += [f"Stack of {member.name!r}:\n{show_stack(member.stack)}" for member in members]
    parts.append(remark)
    innermost = members[0].stack[-1] if members[0].stack else None
    filename, line = (innermost.filename, innermost.lineno) if innermost else ("<unknown>", None)
    try:
        warnings.warn_explicit("\n".join(parts), DeadlockWarning, filename, line or 1)
    except DeadlockWarning as warning:
        return warning
    return None


def _number(member: Standing) -> int:
    """Return the number of a member's thread, which no other thread ever has; 0 for one that is not known."""
    if member.thread is None:
        return 0
    number = _numbers.get(member.thread)
    if number is None:
        number = _numbers.setdefault(member.thread, next(_counter))
    return number


for _function in (deadlock_policy, track):
    # Where users find them.
    _function.__module__ = "raddle.threading"
