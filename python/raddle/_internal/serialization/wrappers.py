"""Wrappers of functools that hold what can't be pickled, taken off and put on again by the receiver.

| wrapper | what the receiver gets |
|---|---|
| `lru_cache`, `cache` | the function under an empty cache of the same size |
| `singledispatch` | the implementations, registered anew |
| `singledispatchmethod` | its dispatching function under a new one |
| `cached_property` | the function under a property (up to CPython 3.11, it holds a lock) |
| `partialmethod` | a new one (from CPython 3.14 on, pickle makes one without arguments) |
"""

from __future__ import annotations

import functools
from types import FunctionType

from raddle._internal.serialization.references import goes_by_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Cache = type(functools.lru_cache(lambda: None))

_DISPATCHER = functools.singledispatch(lambda _: None).__code__  # type: ignore[attr-defined]
_OF_DISPATCHERS = frozenset({"register", "dispatch", "registry", "_clear_cache"})


def reduce_cache(cache: Any) -> str | tuple[Any, ...]:
    """Reduce what `lru_cache` or `cache` returned."""
    if goes_by_name(cache):
        return str(cache.__qualname__)
    return make_cache, (cache.__wrapped__, cache.cache_parameters()), dict(cache.__dict__)


def make_cache(function: Any, parameters: dict[str, Any]) -> Any:
    """Put an empty cache around a function."""
    return functools.lru_cache(**parameters)(function)


def dispatches(function: FunctionType) -> bool:
    """Tell whether `singledispatch` made this function."""
    return function.__code__ is _DISPATCHER


def reduce_dispatch(function: Any) -> tuple[Any, ...]:
    """Reduce what `singledispatch` returned."""
    registry = dict(function.registry)
    default = registry.pop(object)
    attributes = {name: value for name, value in function.__dict__.items() if name not in _OF_DISPATCHERS}
    return functools.singledispatch, (default,), (registry, attributes), None, None, fill_dispatch


def fill_dispatch(function: Any, state: tuple[dict[type, Any], dict[str, Any]]) -> None:
    """Register the implementations, and set the attributes that the user gave the function."""
    registry, attributes = state
    for kind, implementation in registry.items():
        function.register(kind, implementation)
    function.__dict__.update(attributes)


def reduce_property(prop: functools.cached_property[Any]) -> tuple[Any, ...]:
    """Reduce a `cached_property`."""
    return make_property, (prop.func, prop.attrname)


def make_property(function: Any, name: str | None) -> functools.cached_property[Any]:
    """Make a `cached_property` under the name that the class body gave it."""
    made = functools.cached_property(function)
    if name is not None:
        made.__set_name__(object, name)
    return made


def reduce_dispatch_method(method: functools.singledispatchmethod[Any]) -> tuple[Any, ...]:
    """Reduce a `singledispatchmethod`."""
    return functools.singledispatchmethod, (method.func,), method.dispatcher, None, None, fill_dispatch_method


def fill_dispatch_method(method: Any, dispatcher: Any) -> None:
    """Give a `singledispatchmethod` its implementations."""
    method.dispatcher = dispatcher


def reduce_partial_method(method: functools.partialmethod[Any]) -> tuple[Any, ...]:
    """Reduce a `partialmethod`."""
    return make_partial_method, (method.func, method.args, method.keywords), method.__dict__


def make_partial_method(function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Make a `partialmethod`."""
    return functools.partialmethod(function, *args, **keywords)
