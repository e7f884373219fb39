"""The stub's docstrings are those of the native module; its signatures are stubtest's affair."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

from raddle import _raddle

STUB = Path(str(_raddle.__file__)).with_name("_raddle.pyi")
CLASSES = [
    node for node in ast.parse(STUB.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)
]


def documented(cls: ast.ClassDef) -> dict[str, str]:
    """Return the docstrings of a class's methods and properties."""
    functions = [node for node in cls.body if isinstance(node, ast.FunctionDef)]
    texts = {function.name: ast.get_docstring(function) for function in functions}
    return {name: text for name, text in texts.items() if text}


def test_docstrings_are_those_of_the_binary() -> None:
    shown = {f"{cls.name}.{name}": text for cls in CLASSES for name, text in documented(cls).items()}
    assert "Future.result" in shown
    real = {place: inspect.getdoc(resolve(place)) for place in shown}
    assert shown == real


def test_what_users_meet_has_a_docstring() -> None:
    """Of the native classes, users see these two, through the classes that inherit from them."""
    for cls in CLASSES:
        if cls.name in ("Future", "ThreadPool"):
            public = {name for name in vars(resolve(cls.name)) if not name.startswith("_")}
            assert public == {name for name in documented(cls) if not name.startswith("_")}


def resolve(place: str) -> object:
    """Find `Class` or `Class.member` in the native module, without calling properties."""
    cls, _, member = place.partition(".")
    found = getattr(_raddle, cls)
    return inspect.getattr_static(found, member) if member else found
