"""The way from what was sent to the part of it that can't be: `args[1].handler._lock`.

The pickler that the stdlib has in Python makes the same decisions as the one in C, and can be watched: `save` is
called for each object, so when one fails, the calls that have not returned are the way to it. Some of these objects
are pickle's own, such as the tuple that `__reduce__` returned. They are recognised by being no part of their owner,
and left out of the path.

The search is bounded in time, and never fails itself: without a path the error says less.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from types import FunctionType
from typing import Any, NamedTuple

from raddle._internal.serialization.captured import global_names
from raddle._internal.serialization.pickling import PROTOCOL, Reducers

LONGEST = 1.0
"""Seconds that the search may take."""

_PARTS = 100_000
_ARTEFACTS = 8
_ATTRIBUTES_OF_WRAPPERS = ("__self__", "__func__", "__wrapped__", "func", "args", "keywords")


class Found(NamedTuple):
    """What can't be pickled."""

    names: tuple[str, ...]
    """The path, in steps: `args`, `[1]`, `.handler`."""
    culprit: Any
    reason: str

    def path(self) -> str:
        """Return the path as it would be written in Python."""
        return "".join(self.names)


class _TooLong(Exception):
    pass


class _Sink:
    def write(self, _: Any) -> None:
        pass


_PythonPickler: Any = pickle._Pickler


class _Tracer(Reducers, _PythonPickler):  # type: ignore[misc]
    """Pickles into the void, and remembers what it was at when it failed."""

    def __init__(self, *, upward: bool) -> None:
        super().__init__(_Sink(), PROTOCOL, buffer_callback=lambda _: False)
        self.upward, self.inlining = upward, True
        self.at: list[Any] = []
        self._deadline = time.monotonic() + LONGEST

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if time.monotonic() > self._deadline:
            raise _TooLong
        self.at.append(obj)
        super().save(obj, save_persistent_id)
        self.at.pop()


def find(obj: Any, root: str, *, upward: bool) -> Found | None:
    """Find what can't be pickled in an object.

    Args:
        obj: what was pickled.
        upward: as the pickler was told.
        root: what the object is called; empty for a call, which is a pair of `args` and `kwargs`.
    """
    tracer = _Tracer(upward=upward)
    try:
        tracer.dump(obj)
    except _TooLong:
        return None
    except Exception as error:
        try:
            return _describe(tracer.at, root, str(error))
        except Exception:
            return None
    return None


def _describe(way: list[Any], root: str, reason: str) -> Found:
    owner, *rest = way
    names = [root]
    if not root:  # a call
        owner, *rest = rest
        names = ["args" if type(owner) is tuple else "kwargs"]
    while rest:
        step = _step(owner, rest[:_ARTEFACTS])
        if step is None:
            break
        name, taken = step
        names.append(name)
        owner, rest = rest[taken], rest[taken + 1 :]
    culprit = rest[-1] if rest else owner
    if rest:
        names.append(f"'s {type(culprit).__name__}" if len(rest) == 1 else "'s state")
    return Found(tuple(names), culprit, reason)


def _step(owner: Any, following: list[Any]) -> tuple[str, int] | None:
    """Find the first of the objects on the way that is a part of the owner: its name, and its position."""
    wanted = {id(obj): position for position, obj in reversed(list(enumerate(following)))}
    found: tuple[str, int] | None = None
    for name, part in islice(_parts(owner), _PARTS):
        position = wanted.get(id(part))
        if position is not None and (found is None or position < found[1]):
            found = name, position
            if position == 0:
                break
    return found


def _parts(owner: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds, and how one gets at it."""
    if isinstance(owner, (list, tuple, deque)):
        fields = getattr(owner, "_fields", None)
        for index, item in enumerate(owner):
            yield f".{fields[index]}" if isinstance(fields, tuple) else f"[{index}]", item
    elif isinstance(owner, Mapping):
        for key, item in owner.items():
            yield f"[{key!r}]", item
        for key in owner:
            yield f"'s key {key!r}", key
    elif isinstance(owner, (set, frozenset)):
        for item in owner:
            yield "'s element", item
    if isinstance(owner, FunctionType):
        yield from _parts_of_function(owner)
    for attribute, value in list(getattr(owner, "__dict__", {}).items()):
        yield f".{attribute}", value
        if isinstance(value, (classmethod, staticmethod)):
            yield f".{attribute}", value.__func__
        elif isinstance(value, property):
            yield f".{attribute}", value.fget
    if not isinstance(owner, type):
        for kind in type(owner).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for attribute in (slots,) if isinstance(slots, str) else slots:
                if hasattr(owner, attribute):
                    yield f".{attribute}", getattr(owner, attribute)
        yield from _parts_of_wrapper(owner)
        yield ".__class__", type(owner)


def _parts_of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name in global_names(function.__code__):
        if name in function.__globals__:
            yield f".__globals__[{name!r}]", function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f".__closure__[{name!r}]", cell.cell_contents
        except ValueError:
            pass
    for index, value in enumerate(function.__defaults__ or ()):
        yield f".__defaults__[{index}]", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f".__kwdefaults__[{name!r}]", value


def _parts_of_wrapper(owner: Any) -> Iterator[tuple[str, Any]]:
    for attribute in _ATTRIBUTES_OF_WRAPPERS:
        try:
            value = getattr(owner, attribute)
        except Exception:
            continue
        yield f".{attribute}", value
        if attribute == "args" and type(value) is tuple:
            for index, item in enumerate(value):
                yield f".args[{index}]", item
        elif attribute == "keywords" and type(value) is dict:
            for key, item in value.items():
                yield f".keywords[{key!r}]", item
