"""Which global variables a function uses, and which submodules it needs to be loaded."""

from __future__ import annotations

import sys
from types import CodeType, ModuleType

from raddle._internal.serialization.recent import Recent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GLOBAL = frozenset({"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL"})
# The body of a class, run inside the function, finds globals under these.
_OF_CLASS_BODIES = _GLOBAL | {"LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_OPTIMIZED = 1  # CO_OPTIMIZED: of functions, not of class bodies

_names: Recent[CodeType, tuple[str, ...]] = Recent(1024)


def global_names(code: CodeType) -> tuple[str, ...]:
    """List the global variables that a code object reads or writes, those of the functions inside it included."""
    known = _names.get(code)
    if known is None:
        import dis  # a receiver has no use for it

        opcodes = _GLOBAL if code.co_flags & _OPTIMIZED else _OF_CLASS_BODIES
        found = {found.argval: None for found in dis.get_instructions(code) if found.opname in opcodes}
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                found.update(dict.fromkeys(global_names(constant)))
        known = _names.keep(code, tuple(found))
    return known


def bound_names(code: CodeType) -> set[str]:
    """Return the global variables that a function binds, with what is inside it."""
    import dis

    found = {found.argval for found in dis.get_instructions(code) if found.opname == "STORE_GLOBAL"}
    return found.union(*(bound_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def submodules(code: CodeType, values: list[Any]) -> list[ModuleType]:
    """List the submodules that a function may mean when it takes them from a package, as `os.path` from `os`.

    The package alone, which is what the function's globals hold, would be imported without them.
    """
    packages = [value for value in values if isinstance(value, ModuleType) and hasattr(value, "__path__")]
    if not packages:
        return []
    attributes = set(_attributes(code))
    found = []
    for package in packages:
        start = package.__name__ + "."
        for name, module in list(sys.modules.items()):
            if name.startswith(start) and attributes.issuperset(name[len(start) :].split(".")):
                found.append(module)
    return found


def _attributes(code: CodeType) -> list[str]:
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names += _attributes(constant)
    return names
