"""Whether a function or a class can be sent by name.

Down, it can if a worker that imports the module finds the same thing there. Up, from a worker that is a fork of the
user's process (`start="fork"`), it can if it was there before the fork, whatever its module.
"""

from __future__ import annotations

import sys

from raddle._internal.serialization.modules import MAIN_NAMES, importable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_inherited: dict[str, dict[str, Any]] = {}


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


def inherit() -> None:
    """Take note, in a fork of the user's process that is to be its worker, of what the two have in common."""
    _inherited.clear()
    for name, module in list(sys.modules.items()):
        content = getattr(module, "__dict__", None)
        if isinstance(content, dict) and not importable(name):
            _inherited[name] = dict(content)


def inherited(module: str, qualname: str) -> Any:
    """Return what stood in a module before the fork, and stands there still; None if there is nothing."""
    content = _inherited.get(module)
    root = qualname.partition(".")[0]
    if content is None or root not in content:
        return None
    try:
        return attribute(module, qualname) if vars(sys.modules[module])[root] is content[root] else None
    except (AttributeError, KeyError):
        return None


def is_inherited(obj: Any) -> bool:
    """Tell whether the parent has this function or class under its name too."""
    return bool(_inherited) and inherited(obj.__module__, obj.__qualname__) is obj
