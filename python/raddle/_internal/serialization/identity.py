"""Classes that go by value, and stay the same class wherever they go.

A class of `__main__`, or a local one, is sent by value to a worker, which makes its own. What the worker sends back
must be of the parent's class again: `isinstance`, `except` and the members of an enumeration depend on it. So

- every such class has a *tracker id* (cloudpickle's), under which each process finds its own class;
- *down*, from a parent to its workers, a class goes as a **definition**: the bytes of the class and of all classes that
  it needs, such as those that its methods name. They are made once and kept as long as the class does not change. The
  worker loads them once; afterwards it knows the definition by its key, and finds the class by its tracker id;
- *up*, from a worker to its parent, a class that came from there goes as its tracker id alone (`find_class`). By
  value, it would overwrite the attributes of the parent's class by the worker's. A class that the worker made itself
  goes as a definition.

The bytes of a definition stand in every pickle that needs it, so that each pickle can be loaded by whoever gets it.
Who keeps account of what each worker has got can have them apart (`Pickler.definitions`).

A class's attributes are read when it is first sent, and again when one of them (or of its bases') has been bound
anew. Then they have a higher *stamp*; a worker applies them if they are newer than what it has, and a process never
applies any to a class of its own. So a worker's changes to a class stay until the parent makes some itself.
"""

from __future__ import annotations

import copyreg
import operator
import weakref
from _pickle import UnpicklingError, loads

from raddle._internal.serialization.namespaces import bind, stamps
from raddle._internal.serialization.recent import Recent
from raddle._internal.serialization.references import attribute, goes_by_name, inherited, is_inherited
from raddle._internal.serialization.tokens import new_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from raddle._internal.serialization.namespaces import Captured, Space, Variables


class Definition:
    """The bytes of a class and of those that it needs."""

    __slots__ = ("content", "key")

    def __init__(self, content: bytes) -> None:
        self.key, self.content = new_token(), content


class _Defined:
    """A class in a definition: what it and its bases consisted of when the bytes were made."""

    __slots__ = ("bases", "definition", "tracker", "values")

    def __init__(self, cls: type, definition: Definition) -> None:
        from raddle._internal.serialization import cloud

        self.definition, self.tracker = definition, cloud.tracker_id(cls)
        self.bases = tuple(base for base in cls.__mro__[1:] if not goes_by_name(base))
        self.values = _values(cls, self.bases)


# By direction. Strong: what was sent lately must be found when it comes back.
_defined: tuple[Recent[type, _Defined], Recent[type, _Defined]] = Recent(512), Recent(512)
_versions: Recent[type, tuple[tuple[Any, ...], int]] = Recent(512)
_references: Recent[type, tuple[Any, ...]] = Recent(512)
_found: Recent[str, type] = Recent(512)
# By key and tracker id. Strong: a local class is not to be made anew for each call.
_known: Recent[str, dict[str, Any]] = Recent(512)
_announced: dict[str, dict[str, Any]] = {}
_applied: weakref.WeakKeyDictionary[type, int] = weakref.WeakKeyDictionary()
_from_parent: weakref.WeakSet[type] = weakref.WeakSet()


def known_definition(cls: type, *, upward: bool) -> tuple[Definition, str] | None:
    """Return the definition that a class is in, and its tracker id, unless it has changed since."""
    known = _defined[upward].get(cls)
    if known is None or not _same(_values(cls, known.bases), known.values):
        return None
    _defined[upward].refresh(cls, known)
    return known.definition, known.tracker


def add_definition(classes: list[type], content: bytes, *, upward: bool) -> tuple[Definition, str]:
    """Keep the bytes in which some classes are inline, of which the first was asked for."""
    made = Definition(content)
    for cls in classes[1:]:
        if known_definition(cls, upward=upward) is None:  # its own is shorter
            _defined[upward].keep(cls, _Defined(cls, made))
    return made, _defined[upward].keep(classes[0], _Defined(classes[0], made)).tracker


def _values(cls: type, bases: tuple[type, ...]) -> tuple[Any, ...]:
    values = tuple(cls.__dict__.values())
    for base in bases:
        values += tuple(base.__dict__.values())
    return values


def define(key: str, tracker: str, content: bytes | None = None) -> Any:
    """Return a class, after loading its definition unless that has been done."""
    classes = _announced.get(key) or _known.get(key)
    if classes is None:
        if content is None:
            raise UnpicklingError(f"the definition {key} of a class has not arrived")
        classes = _known.keep(key, {"": loads(content)})
    found = classes.get(tracker)
    if found is None:
        from raddle._internal.serialization import cloud

        found = classes[tracker] = cloud.tracked(tracker)
    return found


def load_definition(key: str, content: bytes) -> None:
    """Make the classes of a definition that will not be sent again, and keep them for good."""
    _announced[key] = {"": loads(content)}


def reference(cls: type) -> tuple[Any, ...] | None:
    """Reduce a class of a worker's to what its parent knows it by, if it does."""
    known = _references.get(cls)
    if known is not None:
        return known
    name = cls.__module__, cls.__qualname__
    if cls in _from_parent:
        from raddle._internal.serialization import cloud

        return _references.keep(cls, (find_class, (cloud.tracker_id(cls), *name)))
    return (attribute, name) if is_inherited(cls) else None


def goes_by_value(cls: type, *, upward: bool) -> bool:
    """Tell, at next to no cost, whether a class has gone by value lately: no need to try it otherwise."""
    return cls in _defined[upward] or (upward and cls in _references)


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
    state = _stamp(cls), content, space, named
    name = cls.__module__, cls.__qualname__
    return make_class, (cloud.tracker_id(cls), name, make, arguments, upward), state, None, None, set_state


def _stamp(cls: type) -> int:
    """Return the stamp of what a class consists of now."""
    copyreg._slotnames(cls)  # type: ignore[attr-defined]  # pickle leaves an attribute in it, at some time
    values = tuple(cls.__dict__.values())
    known = _versions.get(cls)
    if known is not None and _same(known[0], values):
        _versions.refresh(cls, known)
        return known[1]
    return _versions.keep(cls, (values, next(stamps)))[1]


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(map(operator.is_, one, other))


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
    found = _found.get(tracker)
    if found is None:
        from raddle._internal.serialization import cloud

        found = cloud.tracked(tracker)
        if found is None:
            raise UnpicklingError(
                f"the class {module}.{qualname} was sent to a worker and is gone: keep a reference to it"
            )
        _found.keep(tracker, found)
    return found
