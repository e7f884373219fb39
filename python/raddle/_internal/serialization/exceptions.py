"""Exceptions on their way back from a worker: whatever they hold, and wherever their classes are.

Pickle's way with exceptions, `cls(*args)`, breaks on each one whose `__init__` takes something else than `args`,
drops causes, contexts and tracebacks, and fails as a whole when one attribute can't be pickled. So an exception is
taken apart here and sent as a graph of parts that are pickled one by one: class, arguments, attributes, `__cause__`,
`__context__`, the members of a group. What can't be sent is left out and named in a note; what can't be loaded is
replaced: a class that the parent can't import by a stand-in (`standins.py`) that derives from the nearest bases that
it can, an argument by its `repr`. Neither `dump_error` nor `load_error` ever fails.

Only an exception whose class says itself how it is to be pickled (`__reduce__` and its kin) is pickled as it wants,
if that works.

The parent sees the worker's traceback in the stdlib's manner, as a `_RemoteTraceback` that is the exception's
`__cause__`. Its text includes the causes, so they would be printed twice if they stood in the chain that is printed:
what was `__cause__` in the worker is the `__context__` of the `_RemoteTraceback`; `__context__` stays where it was.
"""

from __future__ import annotations

import builtins
import pickle
import traceback
from copyreg import dispatch_table as registered
from typing import Any, NamedTuple

from raddle._internal.serialization import standins
from raddle._internal.serialization.plain import dumps_anyhow
from raddle._internal.serialization.remote import attach, set_cause
from raddle._internal.serialization.standins import Missing

_MOST = 200
"""Exceptions that are sent with one: causes, contexts, members of groups. Chains can be much longer."""

_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
_OWN_WAYS = (
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__setstate__",
    "__getnewargs__",
    "__getnewargs_ex__",
)
_FIELDS: tuple[tuple[type[BaseException], tuple[str, ...]], ...] = (
    (ImportError, ("name", "path", "name_from")),
    (AttributeError, ("name",)),
    (NameError, ("name",)),
)
"""What built-in exceptions keep beside `args` and `__dict__`. Not `AttributeError.obj`, which may be anything."""

_Group: Any = getattr(builtins, "BaseExceptionGroup", None)


class Part(NamedTuple):
    """An argument or an attribute."""

    data: bytes | None
    """Its pickle, if there is one."""
    shown: str
    """What it looks like, in case it can't be loaded."""
    node: int | None = None
    """Which exception of the graph it is, if it is one."""


class Node(NamedTuple):
    """One exception of the graph."""

    kind: standins.Kind
    args: tuple[Part, ...]
    attributes: tuple[tuple[str, Part], ...]
    whole: bytes | None
    """The exception in its class's own way of being pickled, if it has one."""
    text: str
    message: str | None
    """Of a group."""
    members: tuple[int, ...]
    cause: int | None
    context: int | None
    suppress: bool


def dump_error(error: BaseException) -> bytes:
    """Take an exception apart, with its traceback and the exceptions that it followed from. Never fails."""
    try:
        return pickle.dumps((_text(error), _Taker().take(error)), 5)
    except Exception as problem:
        cls = type(error)
        kind = standins.Kind(None, str(cls.__module__), str(cls.__qualname__), ())
        text = f"{kind.module}.{kind.qualname}: it could not be sent because of {problem!r}"
        return pickle.dumps((text + "\n", [Node(kind, (), (), None, text, None, (), None, None, False)]), 5)


def load_error(data: bytes) -> BaseException:
    """Put an exception together. Never fails: at worst it is a `RuntimeError` that says what has arrived."""
    try:
        text, nodes = pickle.loads(data)
        return attach(_Maker(nodes).make_all(), text)
    except Exception as problem:
        return RuntimeError(f"a task failed with an exception that could not be loaded: {problem!r}")


def _text(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception as problem:
        return f"{_show(error)}\n(its traceback could not be formatted: {_show(problem)})\n"


def _show(obj: object) -> str:
    try:
        return repr(obj)
    except Exception:
        return object.__repr__(obj)


def _say(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<str() of {type(error).__qualname__} failed>"


def _pickled(obj: object) -> bytes | None:
    try:
        return dumps_anyhow(obj, upward=True)
    except Exception:
        return None


class _Taker:
    """Takes a graph of exceptions apart."""

    def __init__(self) -> None:
        self._waiting: list[BaseException] = []
        self._numbers: dict[int, int] = {}

    def take(self, error: BaseException) -> list[Node]:
        self._number(error)
        nodes: list[Node] = []
        while len(nodes) < len(self._waiting):
            nodes.append(self._node(self._waiting[len(nodes)]))
        return nodes

    def _number(self, error: BaseException | None) -> int | None:
        if error is None:
            return None
        number = self._numbers.get(id(error))
        if number is None and len(self._waiting) < _MOST:
            number = self._numbers[id(error)] = len(self._waiting)
            self._waiting.append(error)
        return number

    def _node(self, error: BaseException) -> Node:
        cls = type(error)
        message, members = self._group(error)
        return Node(
            kind=standins.describe(cls, _pickled),
            args=() if members else tuple(map(self._part, _arguments(error))),
            attributes=tuple((name, self._part(value)) for name, value in _attributes(error).items()),
            whole=_pickled(error) if _has_own_way(cls) else None,
            text=_say(error),
            message=message,
            members=members,
            cause=self._number(error.__cause__),
            context=self._number(error.__context__),
            suppress=error.__suppress_context__,
        )

    def _group(self, error: Any) -> tuple[str | None, tuple[int, ...]]:
        if _Group is None or not isinstance(error, _Group):
            return None, ()
        numbers = tuple(self._number(member) for member in error.exceptions)
        return str(error.message), tuple(number for number in numbers if number is not None)

    def _part(self, value: object) -> Part:
        if isinstance(value, BaseException):
            number = self._number(value)
            return Part(None, _show(value), number)
        data = _pickled(value)
        # Plain values are loaded for sure.
        return Part(data, "" if data is not None and type(value) in _PLAIN else _show(value))


def _arguments(error: BaseException) -> tuple[Any, ...]:
    """Return what the built-in class needs to be told: `args`, with a file's name for instance."""
    try:
        reduced: Any = _native(type(error)).__reduce__(error)
        arguments: tuple[Any, ...] = reduced[1]
        return arguments
    except Exception:
        return error.args


def _attributes(error: BaseException) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for cls, names in _FIELDS:
        if isinstance(error, cls):
            found.update(
                (name, getattr(error, name)) for name in names if getattr(error, name, None) is not None
            )
    for cls in type(error).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            try:
                found[name] = object.__getattribute__(error, name)
            except AttributeError:
                pass
    found.update(error.__dict__)
    return found


def _native(cls: type) -> Any:
    """Return the built-in base that decides what an instance is made of."""
    while cls.__flags__ & _MADE_AT_RUN_TIME:
        cls = cls.__base__  # type: ignore[assignment]
    return cls


_MADE_AT_RUN_TIME = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def _has_own_way(cls: type[BaseException]) -> bool:
    native = _native(cls)
    return cls in registered or any(
        getattr(cls, name, None) is not getattr(native, name, None) for name in _OWN_WAYS
    )


class _Maker:
    """Makes the exceptions of a graph."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._made: dict[int, BaseException] = {}

    def make_all(self) -> BaseException:
        """Make all of them, and return the first."""
        for number in range(len(self._nodes)):
            self._get(number)
        for number, node in enumerate(self._nodes):
            error = self._made[number]
            object.__setattr__(error, "__context__", self._linked(node.context))
            set_cause(error, self._linked(node.cause))
            object.__setattr__(error, "__suppress_context__", node.suppress)
        return self._made[0]

    def _linked(self, number: int | None) -> BaseException | None:
        return None if number is None else self._made[number]

    def _get(self, number: int) -> BaseException:
        if number not in self._made:
            node = self._nodes[number]
            cls, problem = standins.find(node.kind)
            lost = [problem] if problem else []
            self._made[number] = RuntimeError(node.text)  # for an exception that is its own argument
            made = self._in_its_own_way(node) if not problem else None
            if made is None:
                made = self._from_parts(number, cls, lost)
            self._made[number] = made
            _tell(made, lost)
        return self._made[number]

    def _in_its_own_way(self, node: Node) -> BaseException | None:
        if node.whole is None:
            return None
        try:
            made = pickle.loads(node.whole)
            if not isinstance(made, BaseException):
                return None
            for name, part in node.attributes:
                if name == "__notes__":
                    made.__dict__.setdefault(name, self._value(part))
            return made
        except Exception:
            return None

    def _from_parts(self, number: int, cls: type[BaseException], lost: list[str]) -> BaseException:
        node = self._nodes[number]
        native = _native(cls)
        if node.message is not None and _Group is not None and issubclass(cls, _Group):
            args: tuple[Any, ...] = node.message, [self._get(number) for number in node.members]
        else:
            args = tuple(self._argument(position, part, lost) for position, part in enumerate(node.args))
        try:
            made: BaseException = native.__new__(cls, *args)
        except Exception:
            made = native.__new__(cls)
        try:
            native.__init__(made, *args)
        except Exception:
            made.args = args
        self._made[number] = made  # it may be an attribute of itself
        for name, part in node.attributes:
            try:
                value = self._value(part)
            except Exception as problem:
                lost.append(f".{name} is lost: {part.shown} ({problem})")
                continue
            _set(made, name, value)
        if lost and not _speaks(made):
            made = _speaking(made, node)
        return made

    def _argument(self, position: int, part: Part, lost: list[str]) -> Any:
        try:
            return self._value(part)
        except Exception as problem:
            lost.append(f".args[{position}] is lost: {part.shown} ({problem})")
            return Missing(part.shown)

    def _value(self, part: Part) -> Any:
        if part.node is not None:
            return self._get(part.node)
        if part.data is None:
            raise ValueError("it can't be pickled")
        return pickle.loads(part.data)


def _set(error: BaseException, name: str, value: Any) -> None:
    try:
        object.__setattr__(error, name, value)
    except Exception:
        error.__dict__[name] = value


def _speaks(error: BaseException) -> bool:
    if type(error).__str__ is standins.shown:
        return False
    try:
        str(error)
    except Exception:
        return False
    return True


def _speaking(error: BaseException, node: Node) -> BaseException:
    """Make an exception say what it said in the worker, though parts that it would tell of are missing."""
    if type(error).__str__ is not standins.shown:
        cls = standins.stand_in(node.kind, (type(error),))
        try:
            error.__class__ = cls
        except TypeError:
            return error
    error.__dict__["_raddle_text"] = node.text
    return error


def _tell(error: BaseException, lost: list[str]) -> None:
    if lost:
        notes = error.__dict__.setdefault("__notes__", [])
        if isinstance(notes, list):
            notes += [f"raddle: {one}" for one in lost]
