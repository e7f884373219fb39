"""Raddle's pickler: C pickle, with a say in what pickle refuses and in what a worker could not import.

`Reducers` decides; `Pickler` is the quick one. `path.py` puts the same decisions under the pickler that is written in
Python, in order to find what can't be sent.

A pickle goes *down*, from a parent to its workers, or *up*, from a worker to its parent: what came from the other
side is sent back by name (`identity.py`).
"""

from __future__ import annotations

import functools
import importlib
import pickle
import sys
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
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
from typing import Any

from raddle._internal.serialization import functions, generics, identity, large, variables, wrappers
from raddle._internal.serialization.modules import MAIN_NAMES, importable
from raddle._internal.serialization.namespaces import Captured, Space, bind
from raddle._internal.serialization.references import attribute, goes_by_name, stands_in_its_module

PROTOCOL = 5


class Reducers:
    """How objects are taken apart; to be mixed into one of pickle's picklers."""

    upward: bool
    """Whether the pickle goes from a worker to its parent."""
    inlining: bool
    """Whether classes that go by value are written out where they occur, as inside a definition."""
    spaces: dict[int, Space]
    cells: dict[int, CellType]

    def reducer_override(self, obj: Any) -> Any:
        """Reduce what pickle would not, or not in a way that a worker could follow; pickle asks for every object."""
        kind = type(obj)
        reduce = REDUCERS.get(kind)
        if reduce is not None:
            return reduce(self, obj)
        return _reduce_class(self, obj) if issubclass(kind, type) else NotImplemented

    def space_of(self, variables: dict[str, Any]) -> Space:
        """Return what stands for a namespace in this pickle."""
        space = self.spaces.get(id(variables))
        if space is None:
            space = self.spaces[id(variables)] = Space(variables, upward=self.upward)
        return space


class Pickler(Reducers, pickle.Pickler):
    """The quick one, for one object."""

    def __init__(
        self,
        stream: BytesIO,
        buffers: list[pickle.PickleBuffer] | None = None,
        *,
        upward: bool = False,
        inlining: bool = False,
    ) -> None:
        super().__init__(stream, PROTOCOL, buffer_callback=None if buffers is None else large.taking(buffers))
        self.upward, self.inlining = upward, inlining
        self.spaces, self.cells = {}, {}


REDUCERS: dict[type, Callable[[Any, Any], Any]] = {}
"""By exact type: what takes the pickler and an object, and returns what `__reduce__` would, or NotImplemented."""


def register(kind: type, reduce: Callable[[Any], Any]) -> None:
    """Have instances of a class reduced in pickles between Raddle's processes, and in no others.

    The plain pickle that is tried first must refuse them: `kind.__reduce__` has to raise.
    """
    REDUCERS[kind] = lambda _, obj: reduce(obj)


def _reduce_class(pickler: Reducers, cls: type) -> Any:
    upward = pickler.upward
    if not pickler.inlining:
        known = identity.known_definition(cls, upward=upward)
        if known is not None:
            return known
    if goes_by_name(cls):
        return NotImplemented
    if cls.__module__ == "builtins":
        special = _with_cloudpickle().special(cls)
        return NotImplemented if special is None else special
    if upward and identity.came_from_parent(cls):
        return identity.reference(cls)
    if pickler.inlining:
        _with_cloudpickle()
        space = None
        if not upward and stands_in_its_module(cls) and cls.__qualname__ == cls.__name__:
            space = pickler.space_of(sys.modules[cls.__module__].__dict__)
        return identity.inline(cls, space, upward=upward)
    stream = BytesIO()
    Pickler(stream, upward=upward, inlining=True).dump(cls)
    return identity.definition(cls, stream.getvalue(), upward=upward)


def _reduce_function(pickler: Reducers, function: FunctionType) -> Any:
    return NotImplemented if goes_by_name(function) else functions.reduce_function(pickler, function)


def _reduce_method(_: Reducers, method: MethodType) -> Any:
    owner, name = method.__self__, method.__func__.__name__
    try:
        if getattr(owner, name) == method:
            return getattr, (owner, name)
    except Exception:
        pass
    return MethodType, (method.__func__, owner)  # a private one, or one that is no attribute of its owner


def _reduce_module(pickler: Reducers, module: ModuleType) -> Any:
    name = module.__name__
    if name in MAIN_NAMES or (sys.modules.get(name) is module and importable(name)):
        return importlib.import_module, ("__main__" if name in MAIN_NAMES else name,)
    content = module.__dict__
    space = pickler.space_of(content)
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
    from raddle._internal.serialization import cloud

    if _reduce_with_cloudpickle in REDUCERS.values():
        for kind, reduce in cloud.REDUCERS.items():
            if REDUCERS.get(kind, _reduce_with_cloudpickle) is _reduce_with_cloudpickle:
                REDUCERS[kind] = functools.partial(_call, reduce)
    return cloud


def _call(reduce: Callable[[Any], Any], _: Reducers, obj: Any) -> Any:
    return reduce(obj)


def _reduce_with_cloudpickle(pickler: Reducers, obj: Any) -> Any:
    _with_cloudpickle()
    return REDUCERS[type(obj)](pickler, obj)


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
REDUCERS.update(dict.fromkeys(generics.KINDS, lambda _, obj: generics.reduce_parameter(obj)))
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
        functools.cached_property: lambda _, prop: wrappers.reduce_property(prop),
    }
)
