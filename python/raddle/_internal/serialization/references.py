"""Whether a function or a class can be sent by name: a worker that imports the module finds the same thing there."""

from __future__ import annotations

import sys
from typing import Any

from raddle._internal.serialization.modules import MAIN_NAMES, importable


def goes_by_name(obj: Any) -> bool:
    """Tell whether a worker finds this function or class under its module and qualified name."""
    module = getattr(obj, "__module__", None)
    return (
        type(module) is str and module not in MAIN_NAMES and stands_in_its_module(obj) and importable(module)
    )


def stands_in_its_module(obj: Any) -> bool:
    """Tell whether the module that an object says it is from has it under its qualified name."""
    name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
    module = getattr(obj, "__module__", None)
    if type(name) is not str or type(module) is not str or "<" in name:
        return False  # `<lambda>`, `<locals>`
    try:
        return attribute(module, name) is obj
    except (AttributeError, KeyError):
        return False


def attribute(module: str, qualname: str) -> Any:
    """Return what a loaded module has under a qualified name."""
    found: Any = sys.modules[module]
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
