"""Modules in the place of the stdlib's."""

from __future__ import annotations

import sys
import types


class Replacement(types.ModuleType):
    """A module that stands for one of the stdlib's.

    What it does not define itself is the stdlib's own, to be read and to be set: state such as `threading._active` or
    `threading.excepthook` exists once, wherever it is reached from.
    """

    _stdlib: types.ModuleType

    def __getattr__(self, name: str) -> object:
        try:
            return getattr(self._stdlib, name)
        except AttributeError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: object) -> None:
        if self._is_the_stdlibs(name):
            setattr(self._stdlib, name, value)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if self._is_the_stdlibs(name):
            delattr(self._stdlib, name)
        else:
            super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *dir(self._stdlib)})

    def _is_the_stdlibs(self, name: str) -> bool:
        return name not in self.__dict__ and hasattr(self._stdlib, name)


def replace(name: str, stdlib: types.ModuleType) -> None:
    """Make the module `name`, which is being imported, stand for `stdlib`, whose `__all__` becomes part of its own."""
    module = sys.modules[name]
    names = getattr(stdlib, "__all__", None)
    if names is None:
        names = [public for public in vars(stdlib) if not public.startswith("_")]
    module.__all__ = list(dict.fromkeys([*getattr(module, "__all__", []), *names]))
    module._stdlib = stdlib  # type: ignore[attr-defined]
    module.__class__ = Replacement
