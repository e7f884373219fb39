"""Context variables themselves, which pickle has no way for.

A variable is found by the module that has it as an attribute (or whose class has), by a search that is made once per
variable, and sent by that name. One of a module that exists in this process alone, as `__main__`, is sent under a
token, for which the worker makes a variable of its own.
"""

from __future__ import annotations

import importlib
import sys
from contextvars import Context, ContextVar
from types import ModuleType

from raddle._internal.serialization.modules import importable
from raddle._internal.serialization.recent import Recent
from raddle._internal.serialization.tokens import Tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Place = tuple[str, str]
    """A module and a qualified name."""

_places: Recent[ContextVar[Any], tuple[Place | None, int]] = Recent(1024)
_tokens: Tokens = Tokens()


def reduce_variable(variable: ContextVar[Any]) -> tuple[Any, ...]:
    """Reduce a context variable to where it is found."""
    place = place_of(variable)
    if place is not None and importable(place[0]):
        return variable_at, place
    try:
        default: tuple[Any, ...] = (Context().run(variable.get),)
    except LookupError:
        default = ()
    return variable_of, (_tokens.token_of(variable), variable.name, default)


def variable_at(module: str, qualname: str) -> Any:
    """Return a variable that a module has."""
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found


def variable_of(token: str, name: str, default: tuple[Any, ...]) -> ContextVar[Any]:
    """Return the variable that stands for another process' one, or this process' own when it comes back."""

    def make() -> ContextVar[Any]:
        return ContextVar(name, default=default[0]) if default else ContextVar(name)

    found: ContextVar[Any] = _tokens.find(token, make)
    return found


def place_of(variable: ContextVar[Any]) -> Place | None:
    """Find the module that has a variable."""
    place, modules = _places.get(variable, (None, 0))
    if place is None and modules != len(sys.modules):
        place = _search(variable)
        _places.keep(variable, (place, len(sys.modules)))
    return place


def _search(variable: ContextVar[Any]) -> Place | None:
    loaded = [
        (name, module.__dict__)
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType)
    ]
    likely = variable.name.rpartition(".")[2]
    for module, content in loaded:
        if content.get(likely) is variable:
            return module, likely
    for module, content in loaded:
        for name, value in list(content.items()):
            if value is variable:
                return module, name
            if isinstance(value, type) and value.__module__ == module:
                for attribute, inner in list(value.__dict__.items()):
                    if inner is variable:
                        return module, f"{name}.{attribute}"
    return None
