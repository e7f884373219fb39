"""The examples in the docstrings of the package, native ones included, run as they stand."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import raddle

FOUND = [found.name for found in pkgutil.walk_packages(raddle.__path__, "raddle.")]
# `raddle.__main__` is the command: importing it runs it.
MODULES = ["raddle", *(name for name in FOUND if not name.endswith(".__main__"))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_run(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_the_executor_and_the_future_have_examples() -> None:
    """The test above would pass on a package without any."""
    finder = doctest.DocTestFinder()
    for owner in (raddle.ThreadPoolExecutor, raddle.Future, raddle.wait, raddle.as_completed):
        assert any(test.examples for test in finder.find(owner)), owner
