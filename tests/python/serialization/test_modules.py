"""Modules that a worker could not import: what is from them goes by value."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import textwrap
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raddle._internal import serialization
from raddle._internal.serialization import plain
from raddle._internal.serialization.modules import importable, outlook
from tests.python.serialization.support import worker as a_worker

SOURCE = """
from __future__ import annotations
import dataclasses, enum
SCALE = 3

def scaled(x):
    return x * SCALE

def set_scale(x):
    global SCALE
    SCALE = x

@dataclasses.dataclass
class Point:
    x: int

    def scaled(self):
        return Point(scaled(self.x))

class Color(enum.Enum):
    RED = 1

class Refused(Exception):
    def __init__(self, *, why):
        self.why = why

def refuse():
    raise Refused(why="so")
"""


@pytest.fixture
def made_module() -> Iterator[Any]:
    """A module that exists in this process only."""
    module = types.ModuleType("made_here")
    sys.modules["made_here"] = module
    exec(SOURCE, module.__dict__)
    yield module
    del sys.modules["made_here"]


def loaded(name: str, path: Path) -> Any:
    """Load a module as pytest's `importlib` mode does."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


INSTALLED = [
    "json",
    "json.decoder",
    "os.path",
    "raddle",
    "raddle._internal",
    "pytest",
    "_pytest.config",
    __name__,
]


@pytest.mark.parametrize("name", INSTALLED)
def test_what_is_installed_is_importable(name: str) -> None:
    importlib.import_module(name)
    assert importable(name)


@pytest.mark.parametrize("name", ["__main__", "no_such_module"])
def test_what_is_not_importable(name: str) -> None:
    assert not importable(name)


def test_nothing_of_a_program_is_by_value_but_main() -> None:
    """If this fails, a kind of module is misjudged: look at which ones are named."""
    source = """
        import asyncio, multiprocessing, hypothesis, pytest, threadpoolctl, tqdm, rich
        from raddle._internal.serialization import outlook

        patterns = [pattern[1:] for pattern in outlook().patterns]
        assert patterns[0] == b"__main__" and set(patterns[1:]) <= {b"__mp_main__"}, patterns
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(source)], check=True)


def check_by_value(module: Any) -> None:
    name = module.__name__
    assert not importable(name)
    plain._outlook = outlook()  # these tests load modules and remove them again
    point = module.Point(2)
    assert b"marshal" in serialization.dump_function(module.scaled)
    assert b"Point" in pickle.dumps(point)
    with a_worker() as worker:
        assert worker.run(module.scaled, 2) == 6
        worker.run(module.set_scale, 5)
        assert worker.run(module.scaled, 2) == 10
        assert worker.run(lambda p: p.scaled(), point) == module.Point(10)
        assert worker.run(lambda x: x, module.Color.RED) is module.Color.RED
        with pytest.raises(module.Refused) as caught:
            worker.run(module.refuse)
        assert caught.value.why == "so"
        assert worker.run(lambda: module.scaled(1)) == 5
        assert worker.run(lambda: module.SCALE) == 5
    assert module.SCALE == 3


def test_a_module_made_at_run_time(made_module: Any) -> None:
    check_by_value(made_module)


def test_a_module_from_a_file_that_is_not_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text(SOURCE)
    try:
        check_by_value(loaded("elsewhere", tmp_path / "elsewhere.py"))
        check_by_value(loaded("tests.elsewhere.deep", tmp_path / "elsewhere.py"))
    finally:
        sys.modules.pop("elsewhere", None)
        sys.modules.pop("tests.elsewhere.deep", None)


def test_a_module_that_is_not_in_sys_modules() -> None:
    module = sys.modules["unregistered"] = types.ModuleType("unregistered")
    exec(SOURCE, module.__dict__)
    del sys.modules["unregistered"]
    with a_worker() as worker:
        assert worker.run(module.scaled, 2) == 6
        worker.run(module.set_scale, 5)
        assert worker.run(module.scaled, 2) == 10
        assert worker.run(lambda p: p.scaled(), module.Point(2)) == module.Point(10)


def test_a_module_registered_to_go_by_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    (tmp_path / "installed.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("installed")
    assert importable("installed")
    assert b"marshal" not in serialization.dump_function(module.scaled)
    cloudpickle.register_pickle_by_value(module)
    try:
        module.SCALE = 7
        assert not importable("installed")
        with a_worker() as worker:
            assert worker.run(module.scaled, 1) == 7
            assert worker.run(lambda p: p.scaled(), module.Point(1)) == module.Point(7)
    finally:
        cloudpickle.unregister_pickle_by_value(module)
        del sys.modules["installed"]
    assert b"marshal" not in serialization.dump_function(json.dumps)


def test_modules_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package, a namespace package, a zip file, a relative entry: all can be imported by a worker."""
    (tmp_path / "a_package").mkdir()
    (tmp_path / "a_package" / "__init__.py").write_text("")
    (tmp_path / "a_package" / "inner.py").write_text(SOURCE)
    (tmp_path / "a_namespace").mkdir()
    (tmp_path / "a_namespace" / "inside.py").write_text(SOURCE)
    with zipfile.ZipFile(tmp_path / "an_archive.zip", "w") as archive:
        archive.writestr("zipped.py", SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "an_archive.zip")
    names = ("a_package.inner", "a_namespace.inside", "zipped", "a_package", "a_namespace")
    try:
        with a_worker() as worker:
            for name in names[:3]:
                module: Any = importlib.import_module(name)
                assert importable(name), name
                assert worker.run(module.scaled, 2) == 6
                assert worker.run(lambda p: p, module.Point(2)) == module.Point(2)
        assert importable("a_namespace")
    finally:
        for name in names:
            sys.modules.pop(name, None)


def test_a_path_that_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "passing.py").write_text(SOURCE)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        module = importlib.import_module("passing")
        assert serialization.dump_call((module.Point(1),), None)
        assert importable("passing")
    try:
        outlook()
        check_by_value(module)
    finally:
        del sys.modules["passing"]


def test_a_module_that_its_package_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "maker.py").write_text(
        "import sys, types\n"
        "inner = types.ModuleType('maker.inner')\n"
        "sys.modules['maker.inner'] = inner\n"
        f"exec({SOURCE!r}, inner.__dict__)\n"
        "__path__ = []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    maker: Any = importlib.import_module("maker")
    try:
        assert importable("maker.inner")
        with a_worker() as worker:
            assert worker.run(maker.inner.scaled, 2) == 6
    finally:
        del sys.modules["maker"], sys.modules["maker.inner"]


def test_an_editable_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setuptools puts a finder on `sys.meta_path`, which every interpreter of the environment has."""
    (tmp_path / "edited.py").write_text(SOURCE)

    class Finder:
        @classmethod
        def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Any:
            if name == "edited":
                return importlib.util.spec_from_file_location(name, tmp_path / "edited.py")
            return None

    Finder.__module__ = "__editable___edited_finder"
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    importlib.import_module("edited")
    assert importable("edited")
    del sys.modules["edited"]


def test_a_hook_of_this_program_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hooked.py").write_text(SOURCE)

    class Finder:
        @classmethod
        def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Any:
            if name == "hooked":
                return importlib.util.spec_from_file_location(name, tmp_path / "hooked.py")
            return None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    try:
        check_by_value(importlib.import_module("hooked"))
    finally:
        del sys.modules["hooked"]


def test_an_outlook_holds_until_a_module_is_loaded(made_module: Any) -> None:
    seen = outlook()
    assert seen.holds()
    assert any(b"made_here" in pattern for pattern in seen.patterns)
    sys.modules["made_here_too"] = types.ModuleType("made_here_too")
    try:
        assert not seen.holds()
    finally:
        del sys.modules["made_here_too"]


def test_a_reloaded_module_has_new_classes_beside_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reloaded.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    module: Any = importlib.import_module("reloaded")
    try:
        old = module.Point(1)
        importlib.reload(module)
        assert type(old) is not module.Point
        with a_worker() as worker:
            back = worker.run(lambda pair: pair, (old, module.Point(1)))
        assert [type(point) for point in back] == [type(old), module.Point]
    finally:
        del sys.modules["reloaded"]


def test_what_doctest_runs() -> None:
    program = '''
"""
>>> from tests.python.serialization.support import worker
>>> SCALE = 3
>>> def scaled(x):
...     return SCALE * x
>>> class Point:
...     x = 1
>>> with worker() as w:
...     w.run(scaled, 2), w.run(lambda p: type(p), Point()) is Point
(6, True)
"""
import doctest
print(doctest.testmod().failed)
'''
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "0", done.stdout + done.stderr
