"""The demo's figures per function are those that a reader counts by hand."""

from __future__ import annotations

import pytest

from examples.demo.complexity import Function
from examples.demo.jobs import Analysed, analyse


@pytest.mark.parametrize(
    ("source", "figures"),
    [
        ("def f():\n    pass", [("f", 1, 1, 2, 0)]),
        ("def f(a):\n    if a:\n        pass\n    elif a > 1:\n        pass", [("f", 1, 3, 5, 1)]),
        ("def f(a):\n    if a:\n        pass\n    else:\n        if a > 1:\n            pass", [("f", 1, 3, 6, 2)]),
        ("async def f(a):\n    async for x in a:\n        while x and a or 1:\n            pass", [("f", 1, 5, 4, 2)]),
        ("def f(a):\n    return [b for b in a if b if a] if a else lambda: a or 1", [("f", 1, 6, 2, 0)]),
        ("class C:\n  def f(self):\n    def g():\n      if 1: pass", [("C.f", 2, 1, 3, 0), ("C.f.g", 3, 2, 2, 1)]),
        ("def f():\n    try: pass\n    except A: pass\n    except B:\n        pass", [("f", 1, 3, 5, 1)]),
        ("def f(a):\n    match a:\n        case 1 if a: pass\n        case _: pass", [("f", 1, 3, 4, 1)]),
        ("if 1:\n    def f(): return (lambda: 1 or 2)()", [("f", 2, 2, 1, 0)]),
        ("def f(:", []),
    ],
)  # fmt: skip
def test_complexity_figures(source: str, figures: list[tuple[str, int, int, int, int]]) -> None:
    assert analyse(source.encode()).functions == tuple(Function(*figure) for figure in figures)


def test_deep_trees_do_not_exhaust_the_stack() -> None:
    source = "def f(a):\n    return " + " + ".join(["a"] * 2500)
    assert analyse(source.encode()) in (
        Analysed((Function("f", 1, 1, 2, 0),), ""),
        Analysed((), "RecursionError"),
    )
