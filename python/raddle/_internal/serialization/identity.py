"""Classes that go by value, and stay the same class wherever they go.

A class of `__main__`, or a local one, is sent by value to a worker, which makes its own. What the worker sends back
must be of the parent's class again: `isinstance`, `except` and the members of an enumeration depend on it. So

- every such class has a *tracker id* (cloudpickle's), under which each process finds its own class;
- *down*, from a parent to its workers, a class goes as a **definition**: its bytes are made once, kept as long as the
  class does not change, and put into every pickle that needs it; the worker loads them once and afterwards finds the
  class by the definition's key (`define`);
- *up*, from a worker to its parent, a class that came from there goes as its tracker id alone (`find_class`). By
  value, it would overwrite the attributes of the parent's class by the worker's. A class that the worker made itself
  goes as a definition.

A class's attributes are read when it is first sent, and again when one of them (or of its bases') has been bound
anew. Each reading has a higher *stamp*; a worker applies it if it is newer than what it has, and a process never
applies one to a class of its own. So a worker's changes to a class stay until the parent makes some itself.
"""

from __future__ import annotations

import operator
import pickle
import uuid
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from raddle._internal.serialization.namespaces import Captured, Space, Variables, bind, stamps
from raddle._internal.serialization.recent import Recent
from raddle._internal.serialization.references import attribute, goes_by_name, inherited, is_inherited


class Definition(NamedTuple):
    """The bytes of a class, and what it consisted of when they were made."""

    key: str
    content: bytes
    bases: tuple[type, ...]
    """Those that are in the bytes too."""
    values: tuple[Any, ...]


# By direction. Strong: what was sent lately must be found when it comes back.
_definitions: tuple[Recent[type, Definition], Recent[type, Definition]] = Recent(512), Recent(512)
_known: Recent[str, Any] = Recent(512)  # strong: a local class is not to be made anew for each call
_applied: weakref.WeakKeyDictionary[type, int] = weakref.WeakKeyDictionary()
_from_parent: weakref.WeakSet[type] = weakref.WeakSet()


def known_definition(cls: type, *, upward: bool) -> tuple[Any, ...] | None:
    """Reduce a class to its definition if that has been made, and the class has not changed since."""
    known = _definitions[upward].get(cls)
    if known is None:
        return None
    values = _values(cls, known.bases)
    if len(values) != len(known.values) or not all(map(operator.is_, values, known.values)):
        return None
    return define, (known.key, known.content)


def definition(cls: type, content: bytes, *, upward: bool) -> tuple[Any, ...]:
    """Reduce a class to its definition, whose bytes have it inline."""
    bases = tuple(base for base in cls.__mro__[1:] if not goes_by_name(base))
    made = Definition(uuid.uuid4().hex, content, bases, _values(cls, bases))
    _definitions[upward].keep(cls, made)
    return define, (made.key, content)


def _values(cls: type, bases: tuple[type, ...]) -> tuple[Any, ...]:
    values = tuple(cls.__dict__.values())
    for base in bases:
        values += tuple(base.__dict__.values())
    return values


def define(key: str, content: bytes) -> Any:
    """Load a definition, unless it has been."""
    found = _known.get(key)
    if found is None:
        found = _known.keep(key, pickle.loads(content))
    return found


def reference(cls: type) -> tuple[Any, ...] | None:
    """Reduce a class of a worker's to what its parent knows it by, if it does."""
    if cls in _from_parent:
        from raddle._internal.serialization import cloud

        return find_class, (cloud.tracker_id(cls), cls.__module__, cls.__qualname__)
    if is_inherited(cls):
        return attribute, (cls.__module__, cls.__qualname__)
    return None


def inline(cls: type, space: Space | None, *, upward: bool) -> tuple[Any, ...]:
    """Reduce a class to what it is made of.

    Args:
        cls: the class.
        space: the namespace that has it under its name, if there is one: so will that of the receiver.
        upward: whether it goes to the parent.
    """
    from raddle._internal.serialization import cloud

    make, arguments, content = cloud.take_apart(cls)
    named = space.capture([cls.__name__]) if space is not None else {}
    state = next(stamps), content, space, named
    name = cls.__module__, cls.__qualname__
    return make_class, (cloud.tracker_id(cls), name, make, arguments, upward), state, None, None, set_state


def make_class(
    tracker: str, name: tuple[str, str], make: Callable[..., type], arguments: tuple[Any, ...], upward: bool
) -> type:
    """Find the class that is described, or make it with nothing in it yet."""
    from raddle._internal.serialization import cloud

    cls = cloud.tracked(tracker)
    if cls is None:
        cls = cloud.track(tracker, inherited(*name) or make(*arguments))
        _applied.setdefault(cls, 0)
    if not upward and cls in _applied:
        _from_parent.add(cls)
    return cls


def set_state(cls: type, state: tuple[int, Any, Variables | None, Captured]) -> None:
    """Fill a class that another process has described, if this is newer than what it consists of."""
    from raddle._internal.serialization import cloud

    stamp, content, variables, named = state
    if stamp > _applied.get(cls, stamp):
        _applied[cls] = stamp
        cloud.set_state(cls, content)
    if variables is not None:
        bind(variables, named)


def find_class(tracker: str, module: str, qualname: str) -> type:
    """Find the class of this process that a worker has got from it."""
    from raddle._internal.serialization import cloud

    found = cloud.tracked(tracker)
    if found is None:
        raise pickle.UnpicklingError(
            f"the class {module}.{qualname} was sent to a worker and is gone: keep a reference to it"
        )
    return found
