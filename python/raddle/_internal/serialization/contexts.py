"""Context variables that travel with a call.

Each variable goes on its own: one whose value can't be sent, or that no module holds (`variables.py`), is left out
and named once in a debug log; the others arrive.

`decimal` keeps its context in a variable that no module shows; it travels by the functions that `decimal` has for it.
"""

from __future__ import annotations

from _pickle import dumps, loads
from contextvars import Context, ContextVar

from raddle._internal.serialization.plain import dumps_anyhow
from raddle._internal.serialization.recent import Recent
from raddle._internal.serialization.variables import place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DECIMAL = "decimal_context"

_names: Recent[ContextVar[Any], bytes] = Recent(1024)
_named: set[str] = set()
_failures: Recent[tuple[ContextVar[Any], type], int] = Recent(1024)
_GIVEN_UP = 8


def dump_context(context: Context) -> bytes | None:
    """Pickle those variables of a context that can be sent.

    Returns:
        None if there are none.
    """
    if not len(context):
        return None
    sent = []
    for variable, value in context.items():
        pair = _dump_variable(variable, value)
        if pair is not None:
            sent.append(pair)
    return dumps(sent, 5) if sent else None


def load_context(data: bytes) -> Context:
    """Make a context with the variables that were sent; one that can't be loaded is left out."""
    context = Context()
    for name, value in loads(data):
        try:
            if name is None:
                import decimal

                context.run(decimal.setcontext, loads(value))
            else:
                context.run(loads(name).set, loads(value))
        except Exception as error:
            _name_once(
                f"load {_shown(name)}", "a context variable could not be loaded in a worker: %r", error
            )
    return context


def _dump_variable(variable: ContextVar[Any], value: Any) -> tuple[bytes | None, bytes] | None:
    kind = (variable, type(value))
    if _failures and _failures.get(kind, 0) >= _GIVEN_UP:
        return None
    try:
        if variable.name == _DECIMAL and type(value).__module__ == "decimal":
            return None, dumps(value, 5)
        name = _names.get(variable)
        if name is None:
            if place_of(variable) is None:
                _name_once(variable.name, "context variable %r stays behind: no module has it", variable.name)
                return None
            name = _names.keep(variable, dumps_anyhow(variable))
        return name, dumps_anyhow(value)
    except Exception as error:
        _failures.keep(kind, _failures.get(kind, 0) + 1)
        message = "context variable %r stays behind: its value can't be pickled (%s)"
        _name_once(variable.name, message, variable.name, error)
        return None


def _name_once(key: str, message: str, *details: object) -> None:
    if key not in _named and len(_named) < 10_000:
        import logging

        _named.add(key)
        logging.getLogger("raddle").debug(message, *details)


def _shown(name: bytes | None) -> str:
    return repr(name)
