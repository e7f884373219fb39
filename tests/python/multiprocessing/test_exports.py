"""`raddle.multiprocessing` has everything that `multiprocessing` has."""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.dummy
import pkgutil
import subprocess
import sys

import pytest

from raddle import multiprocessing as ours

SUBMODULES = [
    name
    for package in (multiprocessing, multiprocessing.dummy)
    for _, name, _ in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    if not name.endswith("win32")
]


def test_every_name_is_there() -> None:
    assert set(multiprocessing.__all__) <= set(ours.__all__)
    for name in [*ours.__all__, "SUBDEBUG", "SUBWARNING"]:
        assert hasattr(ours, name)


@pytest.mark.parametrize("name", SUBMODULES)
def test_every_submodule_is_there_with_every_name(name: str) -> None:
    stdlib = importlib.import_module(name)
    module = importlib.import_module(f"raddle.{name}")
    assert module is not stdlib
    missing = [other for other in dir(stdlib) if not other.startswith("__") and not hasattr(module, other)]
    assert missing == []
    assert set(getattr(stdlib, "__all__", ())) <= set(module.__all__)


def test_submodules_are_imported_when_they_are_used() -> None:
    code = (
        "import sys; from raddle import multiprocessing as m\n"
        "assert 'raddle.multiprocessing.managers' not in sys.modules\n"
        "assert m.managers.BaseManager and m.pool.ThreadPool and m.dummy.Process and m.connection.wait"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_missing_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ours.nothing  # noqa: B018


def test_state_is_shared_with_the_stdlib() -> None:
    assert ours.util.Finalize is multiprocessing.util.Finalize
    assert ours.current_process() is multiprocessing.current_process()
    assert ours.Process is multiprocessing.Process
    assert ours.process._children is multiprocessing.process._children  # type: ignore[attr-defined]


def test_a_submodule_does_not_take_the_place_of_the_stdlibs() -> None:
    importlib.import_module("raddle.multiprocessing.dummy.connection")
    assert multiprocessing.dummy.connection.__name__ == "multiprocessing.dummy.connection"
    assert multiprocessing.context.__name__ == "multiprocessing.context"
