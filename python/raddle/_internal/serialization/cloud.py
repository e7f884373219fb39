"""All that Raddle uses of cloudpickle, and what it mends there.

cloudpickle takes classes apart and puts them together, and knows reducers for a number of odd types. The functions
that do so have leading underscores, though they have kept their meaning over the years; whatever a new release
changes is to be adapted here and nowhere else. Tested with 3.1, the oldest that `pyproject.toml` allows, and the
newest.

Functions need nothing of this (`functions.py`), so a program that sends no class by value never imports cloudpickle,
which takes 20 ms.
"""

from __future__ import annotations

import io
import types
import typing
import weakref
from collections.abc import Callable
from enum import Enum
from typing import Any, cast

from cloudpickle import cloudpickle as _cloudpickle

from raddle._internal.serialization.namespaces import anew
from raddle._internal.serialization.references import goes_by_name

_OTHERWISE = frozenset(
    {
        io.TextIOWrapper,  # a file would arrive as a copy of its content
        typing.TypeVar,
        memoryview,
        types.CodeType,
        types.CellType,
        types.ModuleType,
        types.MethodType,
    }
)
"""What Raddle reduces in other ways."""

REDUCERS: dict[type, Callable[[Any], Any]] = {
    kind: reduce for kind, reduce in _cloudpickle.Pickler._dispatch_table.items() if kind not in _OTHERWISE
}
"""Reducers for exact types that pickle has none for."""

_by_id: weakref.WeakValueDictionary[str, Any] = _cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID

tracker_id: Callable[[type], str] = _cloudpickle._get_or_create_tracker_id
"""The name under which a class is known in every process that has got it."""

track: Callable[[str, type], type] = _cloudpickle._lookup_class_or_track
"""Give a class that was made here the name that it came with; return the one that has it already, if any."""


def tracked(name: str) -> type | None:
    """Return the class of this tracker id, if it exists here."""
    return cast("type | None", _by_id.get(name))


def special(cls: type) -> Any:
    """Reduce a class of the interpreter that no module has under its name, as that of functions; or return None."""
    if cls in _cloudpickle._BUILTIN_TYPE_NAMES:
        return _cloudpickle._builtin_type, (_cloudpickle._BUILTIN_TYPE_NAMES[cls],)
    return None


def take_apart(cls: type) -> tuple[Callable[..., type], tuple[Any, ...], Any]:
    """Say how to make a class, empty, and what to fill it with.

    Returns:
        A function, its arguments without the tracker id, and the state for `set_state`.
    """
    if issubclass(cls, Enum):
        return _take_enum_apart(cls)
    if typing.is_typeddict(cls):
        options: Any = cls
        fields = dict(cls.__annotations__)
        return make_typed_dict, (cls.__name__, fields, options.__total__), (_typed_dict_state(cls), {}, {})
    namespace: dict[str, Any] = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    for name in _NEEDED_FROM_THE_START:
        if name in cls.__dict__:
            namespace[name] = cls.__dict__[name]
    own = cls.__dict__.get("__dict__")
    if isinstance(own, property):
        namespace["__dict__"] = own
    content, slots = _cloudpickle._class_getstate(cls)
    state: Any = ({name: anew(value) for name, value in content.items()}, slots, {})
    return make_class, (type(cls), cls.__name__, cls.__bases__, namespace), state


def _take_enum_apart(cls: type[Enum]) -> tuple[Callable[..., type], tuple[Any, ...], Any]:
    bases, name, qualname, _, module, _, _ = _cloudpickle._enum_getnewargs(cls)
    content, slots = _cloudpickle._enum_getstate(cls)
    members = {alias: member._value_ for alias, member in cls.__members__.items()}
    for alias in members:
        content.pop(alias, None)
    # What the members' __init__ has set: it is not there yet when they are made.
    set_by_init = {
        member._name_: {key: value for key, value in member.__dict__.items() if key not in _OF_EVERY_MEMBER}
        for member in cls
    }
    return make_enum, (bases, name, qualname, members, module), (content, slots, set_by_init)


_OF_EVERY_MEMBER = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})


def set_state(cls: Any, state: tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, Any]]]) -> None:
    """Fill a class with what `take_apart` took from it."""
    content, slots, members = state
    _cloudpickle._class_setstate(cls, (content, slots))
    for name, attributes in members.items():
        cls._member_map_[name].__dict__.update(attributes)


_NEEDED_FROM_THE_START = (
    "__slots__",  # or instances would have a __dict__
    "__orig_bases__",  # or Generic would refuse to be a base
)


def make_class(metaclass: Any, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
    """Make a class with nothing in it yet."""

    def fill(content: dict[str, Any]) -> None:
        content.update(namespace)

    if _registers(bases):
        # What the bases note of their subclasses comes along with them.
        made = _make_aside(metaclass, name, bases, namespace)
        if made is not None:
            return made
    try:
        return types.new_class(name, bases, {"metaclass": metaclass}, fill)
    except Exception:
        # An __init_subclass__ or a __set_name__ that wants to see what is not there yet.
        made = _make_aside(metaclass, name, bases, namespace)
        if made is None:
            raise
        return made


def _registers(bases: tuple[type, ...]) -> bool:
    """Tell whether a base is told of its subclasses, and was sent by value itself."""
    return any(
        "__init_subclass__" in base.__dict__ and not goes_by_name(base)
        for direct in bases
        for base in direct.__mro__
    )


def _make_aside(metaclass: Any, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type | None:
    """Make a class that is given its bases afterwards, so that they are not told of it, if its layout allows that."""
    try:
        made = type(name, (_Blank,), dict(namespace))
        made.__bases__ = bases
        if metaclass is not type:
            made.__class__ = metaclass
    except Exception:
        return None
    return made


class _Blank:
    pass


def make_enum(bases: Any, name: str, qualname: str, members: Any, module: str) -> type:
    """Make an enumeration with its members and nothing else in it yet."""
    return cast(type, _cloudpickle._make_skeleton_enum(bases, name, qualname, members, module, None, None))


def make_typed_dict(name: str, fields: dict[str, Any], total: bool) -> type:
    """Make a `TypedDict`; those that it inherits from are merged into it, as typing does it."""
    functional: Any = typing.TypedDict
    return cast(type, functional(name, fields, total=total))


def _typed_dict_state(cls: type) -> dict[str, Any]:
    names = ("__module__", "__qualname__", "__required_keys__", "__optional_keys__", "__doc__")
    return {name: getattr(cls, name) for name in names if hasattr(cls, name)}
