"""Functions that go by value: lambdas, closures, those of `__main__` and of modules that exist in one process only.

A function is sent as its code (marshalled: sender and receiver run the same interpreter), its cells, its namespace
(`namespaces.py`) and what is set afterwards, when the receiver has an object to refer to: defaults, attributes, the
content of the cells, the globals it uses. That order is what lets a function refer to itself.

The code keeps the name of its file, so that a traceback from the worker shows the source. Two closures that share a
variable still share it, if they are sent together.
"""

from __future__ import annotations

import importlib
import marshal
import weakref
from types import CellType, CodeType, FunctionType

from raddle._internal.serialization import captured, wrappers
from raddle._internal.serialization.namespaces import Space, bind, enter, variables_of
from raddle._internal.serialization.references import attribute, is_inherited, stands_in_its_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from raddle._internal.serialization.namespaces import Watched

    class Sender(Protocol):
        """What a pickler remembers while it writes one object."""

        upward: bool
        cells: dict[int, CellType] | None
        watched: Watched | None

        def space_of(self, variables: dict[str, Any]) -> Space:
            """Return what stands for a namespace in the pickle."""


__all__ = ["enter", "variables_of"]


_from_parent: weakref.WeakSet[FunctionType] = weakref.WeakSet()


def reduce_function(sender: Sender, function: FunctionType) -> tuple[Any, ...]:
    """Reduce a function that a receiver could not import."""
    if sender.upward and (function in _from_parent or is_inherited(function)):
        return attribute, (function.__module__, function.__qualname__)
    if wrappers.dispatches(function):
        return wrappers.reduce_dispatch(function)
    space = sender.space_of(function.__globals__)
    cells = function.__closure__
    contents = tuple(map(_content, cells or ()))
    if cells:
        if sender.cells is None:
            sender.cells = {}
        sender.cells.update((id(cell), cell) for cell in cells)
    code = function.__code__
    names = captured.global_names(code)
    used = space.capture(names, function)
    if sender.watched is not None:
        sender.watched += space.watch(names)
        for cell, content in zip(cells or (), contents, strict=True):
            sender.watched.append((cell, "cell_contents", *(content or (cell,))))
    values = [value for _, value in used.values()] + [value for content in contents for value in content]
    state = (
        function.__dict__,
        {
            "__name__": function.__name__,
            "__qualname__": function.__qualname__,
            "__module__": function.__module__,
            "__doc__": function.__doc__,
            "__defaults__": function.__defaults__,
            "__kwdefaults__": function.__kwdefaults__,
            "__annotations__": _annotations(function),
        },
        contents,
        used,
        captured.submodules(code, values) if used or contents else [],
        not sender.upward and stands_in_its_module(function),
    )
    return make_function, (code, space, cells), state, None, None, fill_function


def _annotations(function: FunctionType) -> Any:
    """Return a function's annotations, those that can't be evaluated (CPython 3.14) as they are written."""
    try:
        return function.__annotations__
    except Exception:
        library: Any = importlib.import_module("annotationlib")
        return library.get_annotations(function, format=library.Format.STRING)


def make_function(
    code: CodeType, variables: dict[str, Any], cells: tuple[CellType, ...] | None
) -> FunctionType:
    """Make a function with nothing but its code."""
    return FunctionType(code, variables, None, None, cells)


def fill_function(function: FunctionType, state: tuple[Any, ...]) -> None:
    """Give a function what may refer to it."""
    attributes, properties, contents, used, _, is_named = state
    function.__dict__.update(attributes)
    for name, value in properties.items():
        setattr(function, name, value)
    for cell, content in zip(function.__closure__ or (), contents, strict=True):
        if content:
            (cell.cell_contents,) = content
    bind(function.__globals__, used)
    if is_named:
        _from_parent.add(function)


def _content(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # empty: the variable is not bound yet
        return ()


def reduce_cell(sender: Sender, cell: CellType) -> tuple[Any, ...]:
    """Reduce a cell; one of a function's is filled with the function."""
    return CellType, () if sender.cells and id(cell) in sender.cells else _content(cell)


def reduce_code(code: CodeType) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
    """Reduce a code object."""
    return marshal.loads, (marshal.dumps(code),)
