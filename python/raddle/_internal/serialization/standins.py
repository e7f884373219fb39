"""What stands for an exception's class, or for a part of an exception, that did not make it to the parent."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

from raddle._internal.serialization.recent import Recent


class Missing:
    """Stands for an object that could not be sent: it looks like it (`repr`), and is nothing else."""

    __slots__ = ("shown",)

    def __init__(self, shown: str) -> None:
        self.shown = shown

    def __repr__(self) -> str:
        return self.shown

    def __reduce__(self) -> tuple[type[Missing], tuple[str]]:
        return Missing, (self.shown,)


class Kind(NamedTuple):
    """The class of an exception."""

    data: bytes | None
    module: str
    qualname: str
    bases: tuple[bytes | None, ...]
    """The classes that it inherits from, in the order of its `__mro__`, without itself and `object`."""


def describe(cls: type[BaseException], dump: Callable[[type], bytes | None]) -> Kind:
    """Take a class apart, as far as a stand-in needs it."""
    bases = () if cls.__module__ == "builtins" else tuple(dump(base) for base in cls.__mro__[1:-1])
    return Kind(dump(cls), str(cls.__module__), cls.__qualname__, bases)


def find(kind: Kind) -> tuple[type[BaseException], str | None]:
    """Return the class, or a stand-in and the reason for it."""
    problem: object = "it could not be pickled"
    if kind.data is not None:
        try:
            found = pickle.loads(kind.data)
            if isinstance(found, type) and issubclass(found, BaseException):
                return found, None
            problem = f"that is {found!r} here"
        except Exception as error:
            problem = error
    return stand_in(
        kind, tuple(_bases(kind))
    ), f"{kind.module}.{kind.qualname} is a stand-in for the class: {problem}"


def _bases(kind: Kind) -> list[type]:
    """List the bases that exist here, without those that another one of them derives from."""
    found: list[type] = []
    for data in kind.bases:
        try:
            base = pickle.loads(data) if data is not None else None
        except Exception:
            continue
        if isinstance(base, type) and not any(issubclass(one, base) for one in found):
            found.append(base)
    return found


_stand_ins: Recent[tuple[str, str, tuple[type, ...]], type[BaseException]] = Recent(256)


def stand_in(kind: Kind, bases: tuple[type, ...]) -> type[BaseException]:
    """Return the class that stands for another one of this name: the same one each time."""
    known = _stand_ins.get((kind.module, kind.qualname, bases))
    if known is not None:
        return known
    name = kind.qualname.rpartition(".")[2]
    body = {
        "__module__": kind.module,
        "__qualname__": kind.qualname,
        "__doc__": "Stands for a class of this name that exists in the worker alone.",
        "__str__": shown,
    }
    fit = [base for base in bases if issubclass(base, BaseException)] or [Exception]
    for chosen in (bases, fit, fit[:1], [Exception]):
        if any(issubclass(base, BaseException) for base in chosen):
            try:
                made = type(name, tuple(chosen), dict(body))
            except Exception:  # layouts or metaclasses that do not go together, a final class
                continue
            return _stand_ins.keep((kind.module, kind.qualname, bases), made)
    return RuntimeError


def shown(self: Any) -> str:
    """Return what the exception said in the worker."""
    text = self.__dict__.get("_raddle_text")
    return BaseException.__str__(self) if text is None else str(text)
