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

**Which value a task sees.** What a function uses is captured when it is first submitted, and again when a later
submission finds one of its variables, or of those that the functions it calls use, bound to another object
(`functions.rs` looks, at the triples that `Space.watch` makes). So a task sees what a variable was bound to when it was
submitted; or, if functions that use the same variable were submitted after it and before it ran, what they brought.

What was changed *inside* an object is noticed when a function captures it: small containers by a digest; of anything
else that can change, a function that is new to it takes the content along. From then on all functions have that.

Each captured variable carries a *stamp*, which is a new one whenever it is found changed. A worker takes a value with
a newer stamp and keeps what it has otherwise, so what its tasks have stored in a variable stays until the parent
changes that itself. What the worker's initializer has bound, and what its tasks have bound that the parent had no name
for, is the worker's own and stays for good; where the initializer binds a variable, the parent's value need not be
picklable. On the way back up nothing is overwritten: a variable that came from the parent is left out, and another one
is set if the parent has none of that name.
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
from types import BuiltinFunctionType, FunctionType, ModuleType

from raddle._internal.serialization.modules import is_registered, module_of_globals
from raddle._internal.serialization.recent import Recent
from raddle._internal.serialization.tokens import new_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Variables = dict[str, Any]
    Token = tuple[str, str]
    """The process that the namespace is of, and the name of its module or, without one, a name made for it."""

    Captured = dict[str, tuple[int, Any]]
    """Variables by name, with their stamps."""

    Watched = list[tuple[Any, str, Any]]
    """What tells that a function's variables have changed: a dictionary or an object; the name of an item or attribute
    of it; what that is bound to, or the dictionary or object itself where it is not."""

stamps = itertools.count(1)
"""Stamps of what is sent by value, ascending within a process."""

_CONTAINERS = frozenset({list, dict, set, tuple, frozenset, bytearray})
_CONSTANT = frozenset(
    {
        *(int, float, complex, bool, str, bytes, range, slice, type(None), type(...), type(NotImplemented)),
        *(type, ModuleType, FunctionType, BuiltinFunctionType, type(_thread.allocate_lock()), _thread.RLock),
    }
)
"""Classes whose instances have nothing in them that a change would be noticed in; a function brings its own along."""
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

    __slots__ = ("bound", "initialized", "takers", "token", "variables")

    def __init__(self, variables: Variables, token: Token) -> None:
        self.variables, self.token = variables, token
        self.bound: dict[str, _Bound] = {}
        self.takers: dict[str, weakref.WeakSet[Any]] = {}
        """Which functions have captured an object whose content can't be compared."""
        self.initialized: set[str] = set()
        """What the initializer of some pool binds in the workers."""

    def stamp(self, name: str, value: Any, taker: Any) -> int:
        """Return the stamp of a variable: the one that it had, unless it has changed, or may have for all one knows."""
        content = _digest(value)
        bound = self.bound.get(name)
        fresh = bound is None or not bound.still(value, content)
        if content is None and taker is not None and _may_change(value):
            takers = self.takers.setdefault(name, weakref.WeakSet())
            if taker not in takers:
                takers.add(taker)
                fresh = True
        if bound is None or fresh:
            bound = self.bound[name] = _Bound(value, content)
        return bound.stamp


def _may_change(value: Any) -> bool:
    kind = type(value)
    return kind not in _CONSTANT and not issubclass(kind, type)


def _digest(value: Any) -> int | None:
    if type(value) not in _CONTAINERS or len(value) > _LARGEST_DIGESTED:
        return None
    try:
        return hash(dumps(value, 5))
    except Exception:
        return None


class _Received:
    """A namespace of another process, and what stands for it here."""

    __slots__ = ("applied", "own", "token", "variables")

    def __init__(self, variables: Variables, token: Token) -> None:
        self.variables, self.token = variables, token
        # What is there already was not bound by any task: it belongs to the interpreter, or a fork has left it.
        self.applied = dict.fromkeys(variables, 0)
        self.own = _own_names.get(id(variables), (variables, set[str]()))[1]


# Those of modules are kept for good, or a worker would forget what its initializer has set.
_sent: dict[int, _Sent] = {}
_sent_nameless: Recent[int, _Sent] = Recent(256)
_received: dict[Token, _Received] = {}
_received_nameless: Recent[Token, _Received] = Recent(256)
_own_names: dict[int, tuple[Variables, set[str]]] = {}
"""What the initializer of this worker has bound, by the identity of the namespace."""
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

    def capture(self, names: Any, taker: Any = None) -> Captured:
        """Return those of the variables that the receiver needs to be told, with their stamps.

        Args:
            names: what is used.
            taker: the function that uses it.
        """
        if self.reduced[0] is variables_of:
            return {}
        variables = self.variables
        known = _received_as(variables) if self.upward else None
        if known is not None:
            new = (name for name in names if name in variables and name not in known.applied)
            return {name: (0, anew(variables[name])) for name in new}
        sent = self._sent()
        used = [(name, variables[name]) for name in names if name in variables]
        if not sent.initialized.isdisjoint(names):
            used = [(name, value) for name, value in used if name not in sent.initialized or _can_go(value)]
        return {name: (sent.stamp(name, value, taker), anew(value)) for name, value in used}

    def watch(self, names: Any) -> Watched:
        """Return what tells that `capture` would return something else for these names."""
        if self.reduced[0] is variables_of or self.upward:
            return []
        variables, bound = self.variables, self._sent().bound
        watched: Watched = []
        for name in names:
            if name in variables:
                value = variables[name]
                watched.append((variables, name, value))
                if name in bound and _may_change(value):
                    watched.append((bound, name, bound[name]))  # another one with each stamp
            elif name not in builtins.__dict__:
                watched.append((variables, name, variables))
        return watched

    def expect_bound(self, names: Any) -> None:
        """Take note that an initializer binds variables of these names in the workers."""
        if self.reduced[0] is not variables_of:
            self._sent().initialized.update(names)


def _can_go(value: Any) -> bool:
    from raddle._internal.serialization.plain import dumps_anyhow

    try:
        dumps_anyhow(anew(value))
    except Exception:
        return False
    return True


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
        elif name in known.own or (name in variables and name not in known.applied):
            continue  # bound here
        elif stamp > known.applied.get(name, 0):
            known.applied[name] = stamp
            variables[name] = value


def initialize(initializer: Callable[[], object], variables: Variables | None) -> None:
    """Call a worker's initializer, and keep for good what it binds.

    Args:
        initializer: what to call.
        variables: the global variables that it has, apart from those that have come from the parent.
    """
    spaces = [known.variables for known in (*_received.values(), *_received_nameless.values())]
    spaces += [sys.modules["__main__"].__dict__] if "__main__" in sys.modules else []
    spaces += [] if variables is None else [variables]
    before = {id(space): (space, dict(space)) for space in spaces}
    initializer()
    for key, (space, old) in before.items():
        bound = {name for name, value in space.items() if name not in old or old[name] is not value}
        own = _own_names.setdefault(key, (space, set()))[1]
        own |= bound
        known = _received_as(space)
        if known is not None:
            known.own = own
