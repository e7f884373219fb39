"""Raddle's pickler: C pickle, with a say in what pickle refuses and in what a worker could not import.

`Reducers` decides; `Pickler` is the quick one. `path.py` puts the same decisions under the pickler that is written in
Python, in order to find what can't be sent.

A pickle goes *down*, from a parent to its workers, or *up*, from a worker to its parent: what came from the other
side is sent back by name (`identity.py`).
"""

from __future__ import annotations

import functools
import importlib
import sys
import weakref
from _pickle import PickleBuffer
from _pickle import Pickler as _Pickler
from collections import OrderedDict
from contextvars import ContextVar
from copyreg import dispatch_table
from io import BytesIO, TextIOWrapper
from types import (
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MethodType,
    ModuleType,
)

from raddle._internal.serialization import functions, identity, large, variables, wrappers
from raddle._internal.serialization.modules import MAIN_NAMES, importable
from raddle._internal.serialization.namespaces import Space, bind
from raddle._internal.serialization.recent import Recent
from raddle._internal.serialization.references import attribute, goes_by_name, stands_in_its_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from raddle._internal.serialization.namespaces import Captured, Watched

PROTOCOL = 5


class Reducers:
    """How objects are taken apart; to be mixed into one of pickle's picklers."""

    upward = False
    """Whether the pickle goes from a worker to its parent."""
    inlining = False
    """Whether classes that go by value are written out where they occur, as inside a definition."""
    # Made when they are first needed: most pickles need neither.
    spaces: dict[int, Space] | None = None
    cells: dict[int, CellType] | None = None
    watched: Watched | None = None
    """Takes what tells that the variables of functions that go by value have changed."""
    inlined: list[type] | None = None
    """Takes the classes that are written out."""
    definitions: list[identity.Definition] | None = None
    """Takes the definitions that the pickle needs, if they are not to stand in it."""

    def reducer_override(self, obj: Any) -> Any:
        """Reduce what pickle would not, or not in a way that a worker could follow; pickle asks for every object."""
        kind = type(obj)
        if kind in _as_pickle_does:
            return NotImplemented
        reduce = REDUCERS.get(kind)
        if reduce is not None:
            return reduce(self, obj)
        if issubclass(kind, type):
            return NotImplemented if kind in dispatch_table else _reduce_class(self, obj)
        if kind.__module__ == "typing":
            return _reduce_generic(obj)
        if kind.__module__ == "__main__" and _has_own_way(kind):
            return _reduce_singleton(self, obj, kind)
        _as_pickle_does.keep(kind, None)
        return NotImplemented

    def space_of(self, variables: dict[str, Any]) -> Space:
        """Return what stands for a namespace in this pickle."""
        if self.spaces is None:
            self.spaces = {}
        space = self.spaces.get(id(variables))
        if space is None:
            space = self.spaces[id(variables)] = Space(variables, upward=self.upward)
        return space


class Pickler(Reducers, _Pickler):
    """The quick one, for one object."""


def pickler(
    stream: BytesIO,
    buffers: list[PickleBuffer] | None,
    *,
    upward: bool = False,
    inlining: bool = False,
) -> Pickler:
    """Make a pickler.

    Args:
        stream: what it writes to.
        buffers: takes the large buffers out of band; without it, they go into the pickle.
        upward: whether the pickle goes from a worker to its parent.
        inlining: whether classes that go by value are written out where they occur.
    """
    # Without an __init__ of its own it is made in a third of the time.
    made = Pickler(stream, PROTOCOL, buffer_callback=None if buffers is None else large.taking(buffers))
    if upward:
        made.upward = True
    if inlining:
        made.inlining = True
    return made


_as_pickle_does: Recent[type, None] = Recent(256)
"""Classes whose instances are pickle's affair, so that a list of a thousand is asked about once."""

REDUCERS: dict[type, Callable[[Any, Any], Any]] = {}
"""By exact type: what takes the pickler and an object, and returns what `__reduce__` would, or NotImplemented."""


def register(kind: type, reduce: Callable[[Any], Any]) -> None:
    """Have instances of a class reduced in pickles between Raddle's processes, and in no others.

    The plain pickle that is tried first must refuse them: `kind.__reduce__` has to raise.
    """
    REDUCERS[kind] = lambda _, obj: reduce(obj)
    _as_pickle_does.pop(kind, None)


_MADE_BY_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_KIND = _MADE_BY_PYTHON | 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE


def _reduce_class(sender: Reducers, cls: type) -> Any:
    if goes_by_name(cls):
        return NotImplemented
    upward = sender.upward
    if not sender.inlining:
        known = identity.known_definition(cls, upward=upward)
        if known is not None:
            return _refer(sender, *known)
    if cls.__flags__ & _KIND != _MADE_BY_PYTHON:
        # The interpreter's, or an extension's: it can't be taken apart.
        special = _with_cloudpickle().special(cls) if cls.__module__ == "builtins" else None
        return NotImplemented if special is None else special
    if upward:
        reference = identity.reference(cls)
        if reference is not None:
            return reference
    if not sender.inlining:
        return _refer(sender, *_define(cls, upward))
    _with_cloudpickle()
    if sender.inlined is not None:
        sender.inlined.append(cls)
    space = None
    if not upward and stands_in_its_module(cls) and cls.__qualname__ == cls.__name__:
        space = sender.space_of(sys.modules[cls.__module__].__dict__)
    return identity.inline(cls, space, upward=upward)


def _define(cls: type, upward: bool) -> tuple[identity.Definition, str]:
    stream = BytesIO()
    writer = pickler(stream, None, upward=upward, inlining=True)
    writer.inlined = []
    writer.dump(cls)
    return identity.add_definition(writer.inlined, stream.getvalue(), upward=upward)


def _refer(sender: Reducers, definition: identity.Definition, tracker: str) -> tuple[Any, ...]:
    if sender.definitions is None:
        return identity.define, (definition.key, tracker, definition.content)
    sender.definitions.append(definition)
    return identity.define, (definition.key, tracker)


def _reduce_generic(obj: Any) -> Any:
    from raddle._internal.serialization.generics import KINDS, reduce_parameter

    return reduce_parameter(obj) if type(obj) in KINDS else NotImplemented


def _has_own_way(kind: Any) -> bool:
    return kind.__reduce_ex__ is not object.__reduce_ex__ or kind.__reduce__ is not object.__reduce__


def _reduce_singleton(sender: Reducers, obj: Any, kind: Any) -> Any:
    """Reduce an object of `__main__`'s; one whose `__reduce__` returns its name there goes by value, once."""
    reduced = obj.__reduce_ex__(PROTOCOL)
    if type(reduced) is not str or "." in reduced:
        return reduced
    space = sender.space_of(sys.modules["__main__"].__dict__)
    return singleton, (space, reduced, kind), getattr(obj, "__dict__", None)


def singleton(variables: dict[str, Any], name: str, kind: Any) -> Any:
    """Return the object of this name, or make it."""
    found = variables.get(name)
    if type(found) is not kind:
        found = variables[name] = kind.__new__(kind)
    return found


def _reduce_function(sender: Reducers, function: FunctionType) -> Any:
    if function in _OURS or goes_by_name(function):
        return NotImplemented
    return functions.reduce_function(sender, function)


_OURS: frozenset[Any] = frozenset(
    {identity.define, identity.find_class}
)  # in every pickle with a class that goes by value


def is_found(method: MethodType) -> bool:
    """Tell whether its owner has a method under its name: a private one it has under another."""
    try:
        return bool(getattr(method.__self__, method.__func__.__name__) == method)
    except Exception:
        return False


def _reduce_method(sender: Reducers, method: MethodType) -> Any:
    owner, function = method.__self__, method.__func__
    if sender.inlining or not is_found(method):
        # By name, it would be looked for in a class that is not complete yet.
        return MethodType, (function, owner)
    return getattr, (owner, function.__name__)


def _reduce_module(sender: Reducers, module: ModuleType) -> Any:
    name = module.__name__
    if name in MAIN_NAMES or (sys.modules.get(name) is module and importable(name)):
        return importlib.import_module, ("__main__" if name in MAIN_NAMES else name,)
    content = module.__dict__
    space = sender.space_of(content)
    names = [name for name in content if not (name.startswith("__") and name.endswith("__"))]
    return module_in, (space, name), space.capture(names), None, None, fill_module


def module_in(content: dict[str, Any], name: str) -> ModuleType:
    """Return the module whose globals these are, or one that has the same content."""
    module = sys.modules.get(name)
    return module if module is not None and module.__dict__ is content else _ModuleOver(name, content)


class _ModuleOver(ModuleType):
    """A module over globals that stand for it."""

    def __init__(self, name: str, content: dict[str, Any]) -> None:
        super().__init__(name)
        object.__setattr__(self, "_content", content)

    def __getattr__(self, name: str) -> Any:
        try:
            return object.__getattribute__(self, "_content")[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


def fill_module(module: ModuleType, captured: Captured) -> None:
    """Give a module's variables their values."""
    bind(getattr(module, "_content", module.__dict__), captured)


def _reduce_file(_: Reducers, file: TextIOWrapper) -> Any:
    for name in ("stdout", "stderr", "stdin"):
        if file is getattr(sys, name):
            return attribute, ("sys", name)
    return NotImplemented


def _with_cloudpickle() -> Any:
    """Import cloudpickle, and take over its reducers."""
    global _has_taken_over
    from raddle._internal.serialization import cloud

    if not _has_taken_over:
        for kind, reduce in cloud.REDUCERS.items():
            if REDUCERS.get(kind, _reduce_with_cloudpickle) is _reduce_with_cloudpickle:
                REDUCERS[kind] = functools.partial(_call, reduce)
        _has_taken_over = True
    return cloud


_has_taken_over = False


def _call(reduce: Callable[[Any], Any], _: Reducers, obj: Any) -> Any:
    return reduce(obj)


def _reduce_with_cloudpickle(sender: Reducers, obj: Any) -> Any:
    _with_cloudpickle()
    return REDUCERS[type(obj)](sender, obj)


_NOTHING: dict[Any, Any] = {}
REDUCERS.update(
    dict.fromkeys(
        [
            classmethod,
            staticmethod,
            property,
            GetSetDescriptorType,
            MappingProxyType,
            weakref.WeakSet,
            type(_NOTHING.keys()),
            type(_NOTHING.values()),
            type(_NOTHING.items()),
            type(OrderedDict().keys()),
            type(OrderedDict().values()),
            type(OrderedDict().items()),
        ],
        _reduce_with_cloudpickle,
    )
)
REDUCERS.update(
    {
        type: _reduce_class,
        FunctionType: _reduce_function,
        MethodType: _reduce_method,
        ModuleType: _reduce_module,
        CellType: functions.reduce_cell,
        CodeType: lambda _, code: functions.reduce_code(code),
        TextIOWrapper: _reduce_file,
        memoryview: lambda _, view: large.reduce_view(view),
        ContextVar: lambda _, variable: variables.reduce_variable(variable),
        wrappers.Cache: lambda _, cache: wrappers.reduce_cache(cache),
        functools.singledispatchmethod: lambda _, method: wrappers.reduce_dispatch_method(method),
        functools.partialmethod: lambda _, method: wrappers.reduce_partial_method(method),
        functools.cached_property: lambda _, prop: wrappers.reduce_property(prop),
    }
)
