"""Type parameters and aliases, which pickle sends by name: those that a worker could not import go by value."""

from __future__ import annotations

import typing
from typing import Any

from raddle._internal.serialization.references import goes_by_name
from raddle._internal.serialization.tokens import Tokens

KINDS: tuple[type, ...] = tuple(
    getattr(typing, name)
    for name in ("TypeVar", "ParamSpec", "TypeVarTuple", "NewType", "TypeAliasType")
    if hasattr(typing, name)
)

_tokens: Tokens = Tokens()


def reduce_parameter(obj: Any) -> Any:
    """Reduce a type parameter, a `NewType` or a type alias."""
    if goes_by_name(obj):
        return NotImplemented
    arguments: tuple[Any, ...] = (obj.__name__,)
    options: dict[str, Any] = {}
    kind = type(obj).__name__
    if kind == "TypeVar":
        arguments += obj.__constraints__
        options = {name: getattr(obj, f"__{name}__") for name in ("bound", "covariant", "contravariant")}
        if getattr(obj, "__infer_variance__", False):
            options["infer_variance"] = True
    elif kind == "NewType":
        arguments += (obj.__supertype__,)
    elif kind == "TypeAliasType":
        arguments += (obj.__value__,)
        options = {"type_params": obj.__type_params__}
    return make_parameter, (type(obj), arguments, options, obj.__module__, _tokens.token_of(obj))


def make_parameter(kind: Any, arguments: Any, options: Any, module: str | None, token: str) -> Any:
    """Find a type parameter or alias, or make it."""

    def make() -> Any:
        made = kind(*arguments, **options)
        try:
            made.__module__ = module
        except AttributeError:  # an alias has taken it from the frame that made it
            pass
        return made

    return _tokens.find(token, make)
