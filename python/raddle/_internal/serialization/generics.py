"""Type parameters, as `TypeVar`, which pickle sends by name: those that a worker could not import go by value."""

from __future__ import annotations

import typing
from typing import Any

from raddle._internal.serialization.references import goes_by_name

KINDS: tuple[type, ...] = tuple(
    getattr(typing, name)
    for name in ("TypeVar", "ParamSpec", "TypeVarTuple", "NewType", "TypeAliasType")
    if hasattr(typing, name)
)


def reduce_parameter(obj: Any) -> Any:
    """Reduce a type parameter, a `NewType` or a type alias."""
    if goes_by_name(obj):
        return NotImplemented
    from raddle._internal.serialization import cloud

    kind = type(obj)
    if kind is typing.TypeVar:
        arguments: tuple[Any, ...] = (obj.__name__, *obj.__constraints__)
        options = {
            "bound": obj.__bound__,
            "covariant": obj.__covariant__,
            "contravariant": obj.__contravariant__,
        }
        if getattr(obj, "__infer_variance__", False):
            options["infer_variance"] = True
    elif kind.__name__ == "NewType":
        arguments, options = (obj.__name__, obj.__supertype__), {}
    elif kind.__name__ == "TypeAliasType":
        arguments, options = (obj.__name__, obj.__value__), {"type_params": obj.__type_params__}
    else:
        arguments, options = (obj.__name__,), {}
    return make_parameter, (kind, arguments, options, obj.__module__, cloud.tracker_id(obj))


def make_parameter(kind: Any, arguments: Any, options: Any, module: str | None, tracker: str) -> Any:
    """Find the type parameter of this tracker id, or make it."""
    from raddle._internal.serialization import cloud

    found: Any = cloud.tracked(tracker)
    if found is None:
        found = kind(*arguments, **options)
        try:
            found.__module__ = module
        except AttributeError:  # a type alias knows it from the frame that makes it
            pass
        found = cloud.track(tracker, found)
    return found
