"""Modules in the place of the stdlib's."""

from __future__ import annotations

import sys
import types
from typing import Any


class _Shared:
    """A name that two modules have in common: whoever reads, sets or deletes it here does so there.

    A data descriptor, so that tools which patch modules know that it is not the module's own.
    """

    def __init__(self, stdlib: types.ModuleType, name: str) -> None:
        self._stdlib = stdlib
        self._name = name

    def __get__(self, module: types.ModuleType, owner: type) -> object:
        try:
            return getattr(self._stdlib, self._name)
        except AttributeError:
            raise AttributeError(f"module {module.__name__!r} has no attribute {self._name!r}") from None

    def __set__(self, module: types.ModuleType, value: object) -> None:
        setattr(self._stdlib, self._name, value)

    def __delete__(self, module: types.ModuleType) -> None:
        delattr(self._stdlib, self._name)


def replace(name: str, stdlib: types.ModuleType) -> None:
    """Make the module `name`, which is being imported, stand for `stdlib`.

    What it does not define itself is the stdlib's own, to be read and to be set: state such as `threading._active` or
    `threading.excepthook` exists once, wherever it is reached from. The stdlib's `__all__` becomes part of its own.
    """
    module: Any = sys.modules[name]
    shared = [other for other in dir(stdlib) if other not in vars(module)]
    public = getattr(stdlib, "__all__", None) or [other for other in shared if not other.startswith("_")]
    module.__all__ = list(dict.fromkeys([*getattr(module, "__all__", []), *public]))

    class Replacement(types.ModuleType):
        def __dir__(self) -> list[str]:
            return sorted({*self.__dict__, *dir(stdlib)})

    for other in shared:
        setattr(Replacement, other, _Shared(stdlib, other))
    module.__class__ = Replacement
