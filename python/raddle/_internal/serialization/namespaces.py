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

What a function uses is captured when it is first sent. Each captured variable carries a *stamp*, which is a new one
whenever the parent has bound the variable to another object since it last sent it. A worker takes a value with a
newer stamp and keeps what it has otherwise; so what its initializer has set stays, and what the user redefined in a
notebook arrives with the next function that uses it. On the way back up nothing is overwritten: a variable that came
from the parent is left out, and another one is set if the parent has none of that name.
"""

from __future__ import annotations

import builtins
import importlib
import itertools
import os
import pickle
import sys
import uuid
import weakref
from types import ModuleType
from typing import Any, NamedTuple

from raddle._internal.serialization.modules import is_registered, module_of_globals
from raddle._internal.serialization.recent import Recent

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

_origin = uuid.uuid4().hex


def _start_afresh() -> None:
    global _origin
    _origin = uuid.uuid4().hex
    _sent.clear()


class _Bound(NamedTuple):
    """What a variable was bound to when it was last sent."""

    value: Any
    """The object, or a weak reference to it."""
    content: int | None
    """For one of the built-in containers, a digest of what is in it."""
    stamp: int

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
            try:
                held: Any = weakref.ref(value)
            except TypeError:
                held = value
            bound = self.bound[name] = _Bound(held, content, next(stamps))
        return bound.stamp


def _digest(value: Any) -> int | None:
    if type(value) not in _CONTAINERS or len(value) > _LARGEST_DIGESTED:
        return None
    try:
        return hash(pickle.dumps(value, 5))
    except Exception:
        return None


class _Received:
    """A namespace of another process, and what stands for it here."""

    __slots__ = ("applied", "token", "variables")

    def __init__(self, variables: Variables, token: Token) -> None:
        self.variables, self.token = variables, token
        self.applied: dict[str, int] = {}


_sent: Recent[int, _Sent] = Recent(256)
_received: Recent[Token, _Received] = Recent(256)
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
        sent = _sent.get(id(self.variables))
        if sent is None or sent.variables is not self.variables:
            token = (_origin, _name_of(self.variables) or uuid.uuid4().hex)
            sent = _sent.keep(id(self.variables), _Sent(self.variables, token))
        return sent

    def capture(self, names: Any) -> Captured:
        """Return those of the variables that the receiver needs to be told, with their stamps."""
        if self.reduced[0] is variables_of:
            return {}
        variables = self.variables
        known = _received_as(variables) if self.upward else None
        if known is not None:
            return {
                name: (0, variables[name])
                for name in names
                if name in variables and name not in known.applied
            }
        sent = self._sent()
        return {
            name: (sent.stamp(name, variables[name]), variables[name]) for name in names if name in variables
        }


def _name_of(variables: Variables) -> str | None:
    name = variables.get("__name__")
    module = sys.modules.get(name) if type(name) is str else None
    return name if module is not None and module.__dict__ is variables else None


def variables_of(name: str) -> Variables:
    """Import a module and return its globals."""
    return importlib.import_module(name).__dict__


def enter(token: Token, base: Variables) -> Variables:
    """Return the globals that stand for a namespace here."""
    return _own(token) or _space(token, base).variables


def _own(token: Token) -> Variables | None:
    origin, name = token
    if origin != _origin:
        return None
    for sent in list(_sent.values()):
        if sent.token == token:
            return sent.variables
    module = sys.modules.get(name)
    return None if module is None else module.__dict__


def _received_as(variables: Variables) -> _Received | None:
    return next((known for known in list(_received.values()) if known.variables is variables), None)


def _space(token: Token, base: Variables) -> _Received:
    known = _received.get(token)
    if known is None:
        variables = _variables_for(token[1], base)
        variables.update(base)
        variables["__builtins__"] = builtins
        known = _received.keep(token, _Received(variables, token))
    return known


def _variables_for(name: str, base: Variables) -> Variables:
    if name == "__main__":
        return sys.modules["__main__"].__dict__
    if name == base.get("__name__") and not is_registered(name):
        # Those who look up `sys.modules[cls.__module__]`, as dataclasses and pickle do, find it there.
        return sys.modules.setdefault(name, ModuleType(name)).__dict__
    return {}


def bind(variables: Variables, captured: Captured) -> None:
    """Give the variables of a namespace that `enter` returned the values that another process has captured."""
    known = _received_as(variables)
    for name, (stamp, value) in captured.items():
        if known is None:  # it is this process' own
            variables.setdefault(name, value)
        elif stamp > known.applied.get(name, 0):
            known.applied[name] = stamp
            variables[name] = value
