"""The global variables of functions that go by value.

A function without its globals is of no use, and two functions of one module must see the same ones, even though each
is sent when it is first needed: what an initializer stores in a global, the tasks read. So a worker keeps one dict
for each namespace of its parent, which stands for it in a pickle under a *token*:

| the parent's globals are those of | the worker's are | filled with |
|---|---|---|
| an importable module | the module's, which it imports | nothing: the import does that |
| `__main__` | its own `__main__`'s | what the function uses |
| a module that exists in the parent alone | a module's, made for it | what the function uses |
| anything else: `exec`, doctest, `runpy` | a dict's, made for it | what the function uses |

A lock among them, or a `threading.local`, is not what the parent has but a new one: it belongs to the threads of one
process. (Not so an `Event` or a `Queue`, which somebody would wait for in vain.)

What a function uses is captured when it is first sent. Each captured variable carries a *stamp*, which is a new one
whenever the parent has bound the variable to another object since it last sent it. A worker takes a value with a
newer stamp and keeps what it has otherwise; so what its initializer has set stays, and what the user redefined in a
notebook arrives with the next function that uses it. On the way back up nothing is overwritten: a variable that came
from the parent is left out, and another one is set if the parent has none of that name.
"""

from __future__ import annotations

import _thread
import builtins
import importlib
import itertools
import os
import sys
import weakref
from _pickle import dumps
from types import ModuleType

from raddle._internal.serialization.modules import is_registered, module_of_globals
from raddle._internal.serialization.recent import Recent
from raddle._internal.serialization.tokens import new_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Variables = dict[str, Any]
    Token = tuple[str, str]
    """The process that the namespace is of, and the name of its module or, without one, a name made for it."""

    Captured = dict[str, tuple[int, Any]]
    """Variables by name, with their stamps."""

stamps = itertools.count(1)
"""Stamps of what is sent by value, ascending within a process."""

_CONTAINERS = frozenset({list, dict, set, bytearray})
_LARGEST_DIGESTED = 10_000
_BASE = ("__name__", "__package__", "__file__", "__path__")

_origin = new_token()


def _start_afresh() -> None:
    global _origin
    _origin = new_token()
    _sent.clear()
    _sent_nameless.clear()


class Anew:
    """Stands for a global lock or a `threading.local`: the receiver has its own, as if it had imported the module."""

    __slots__ = ("make",)

    def __init__(self, make: Any) -> None:
        self.make = make

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return self.make, ()


_MADE_ANEW: dict[type, Any] = {
    type(_thread.allocate_lock()): _thread.allocate_lock,
    _thread.RLock: _thread.RLock,
    _thread._local: _thread._local,
}


def anew(value: Any) -> Any:
    """Return what goes to the receiver as the value of a global variable or an attribute of a class."""
    kind = type(value)
    make = _MADE_ANEW.get(kind)
    if make is None and kind.__module__ == "raddle.threading" and kind.__name__ in ("Lock", "RLock"):
        make = kind
    return value if make is None else Anew(make)


class _Bound:
    """What a variable was bound to when it was last sent.

    `value` is the object, or a weak reference to it; `content`, for one of the built-in containers, a digest of what
    is in it.
    """

    __slots__ = ("content", "stamp", "value")

    def __init__(self, value: Any, content: int | None) -> None:
        try:
            self.value = weakref.ref(value)
        except TypeError:
            self.value = value
        self.content = content
        self.stamp = next(stamps)

    def still(self, value: Any, content: int | None) -> bool:
        """Tell whether the variable is bound to the same object, with the same in it."""
        was = self.value() if type(self.value) is weakref.ref else self.value
        return was is value and self.content == content


class _Sent:
    """A namespace of this process that others have heard of."""

    __slots__ = ("bound", "token", "variables")

    def __init__(self, variables: Variables, token: Token) -> None:
        self.variables, self.token = variables, token
        self.bound: dict[str, _Bound] = {}

    def stamp(self, name: str, value: Any) -> int:
        """Return the stamp of a variable: the one that it had, unless it has changed."""
        content = _digest(value)
        bound = self.bound.get(name)
        if bound is None or not bound.still(value, content):
            bound = self.bound[name] = _Bound(value, content)
        return bound.stamp


def _digest(value: Any) -> int | None:
    if type(value) not in _CONTAINERS or len(value) > _LARGEST_DIGESTED:
        return None
    try:
        return hash(dumps(value, 5))
    except Exception:
        return None


class _Received:
    """A namespace of another process, and what stands for it here."""

    __slots__ = ("applied", "token", "variables")

    def __init__(self, variables: Variables, token: Token) -> None:
        self.variables, self.token = variables, token
        self.applied: dict[str, int] = {}


# Those of modules are kept for good, or a worker would forget what its initializer has set.
_sent: dict[int, _Sent] = {}
_sent_nameless: Recent[int, _Sent] = Recent(256)
_received: dict[Token, _Received] = {}
_received_nameless: Recent[Token, _Received] = Recent(256)
os.register_at_fork(after_in_child=_start_afresh)


class Space:
    """Stands for a namespace in a pickle."""

    __slots__ = ("reduced", "upward", "variables")

    def __init__(self, variables: Variables, *, upward: bool) -> None:
        self.variables, self.upward = variables, upward
        module = module_of_globals(variables)
        if module is not None:
            self.reduced: tuple[Any, ...] = variables_of, (variables["__name__"],)
            return
        known = _received_as(variables) if upward else None
        token = known.token if known else self._sent().token
        base = {name: variables[name] for name in _BASE if name in variables}
        self.reduced = enter, (token, base)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced

    def _sent(self) -> _Sent:
        key = id(self.variables)
        known = _sent.get(key) or _sent_nameless.get(key)
        if known is not None:
            return known  # it keeps the dict alive, so the key is its own
        name = _name_of(self.variables)
        if name is None:
            return _sent_nameless.keep(key, _Sent(self.variables, (_origin, new_token())))
        return _sent.setdefault(key, _Sent(self.variables, (_origin, name)))

    def capture(self, names: Any) -> Captured:
        """Return those of the variables that the receiver needs to be told, with their stamps."""
        if self.reduced[0] is variables_of:
            return {}
        variables = self.variables
        known = _received_as(variables) if self.upward else None
        if known is not None:
            new = (name for name in names if name in variables and name not in known.applied)
            return {name: (0, anew(variables[name])) for name in new}
        sent = self._sent()
        used = ((name, variables[name]) for name in names if name in variables)
        return {name: (sent.stamp(name, value), anew(value)) for name, value in used}


def _name_of(variables: Variables) -> str | None:
    name = variables.get("__name__")
    module = sys.modules.get(name) if type(name) is str else None
    return name if module is not None and module.__dict__ is variables else None


def variables_of(name: str) -> Variables:
    """Import a module and return its globals."""
    return importlib.import_module(name).__dict__


def enter(token: Token, base: Variables) -> Variables:
    """Return the globals that stand for a namespace here."""
    own = _own(token)
    return _space(token, base).variables if own is None else own


def _own(token: Token) -> Variables | None:
    origin, name = token
    if origin != _origin:
        return None
    for sent in (*list(_sent.values()), *list(_sent_nameless.values())):
        if sent.token == token:
            return sent.variables
    module = sys.modules.get(name)
    return None if module is None else module.__dict__


def _received_as(variables: Variables) -> _Received | None:
    for known in (*list(_received.values()), *list(_received_nameless.values())):
        if known.variables is variables:
            return known
    return None


def _space(token: Token, base: Variables) -> _Received:
    known = _received.get(token) or _received_nameless.get(token)
    if known is not None:
        return known
    name = token[1]
    if name == "__main__":
        variables = sys.modules["__main__"].__dict__
    elif name == base.get("__name__") and not is_registered(name):
        # Those who look up `sys.modules[cls.__module__]`, as dataclasses and pickle do, find it there.
        variables = sys.modules.setdefault(name, ModuleType(name)).__dict__
    else:
        variables = {}
    variables.update(base)
    variables["__builtins__"] = builtins
    made = _Received(variables, token)
    if name == base.get("__name__"):
        return _received.setdefault(token, made)
    return _received_nameless.keep(token, made)


def bind(variables: Variables, captured: Captured) -> None:
    """Give the variables of a namespace that `enter` returned the values that another process has captured."""
    known = _received_as(variables)
    for name, (stamp, value) in captured.items():
        if known is None:  # it is this process' own
            variables.setdefault(name, value)
        elif stamp > known.applied.get(name, 0):
            known.applied[name] = stamp
            variables[name] = value
