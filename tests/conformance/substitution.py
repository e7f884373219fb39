"""Puts one library's classes where the standard library keeps its own, for the life of a process.

The interpreter's tests reach the classes by many names: `concurrent.futures.Future`,
`concurrent.futures._base.Future`, `threading.Lock`, `threading._CRLock`, `_thread.allocate_lock`, or a name of their
own after `from … import`. `install` runs before any test module is imported, so each of those names is bound to the
replacement from the start, class attributes and module-level objects included; `leftovers` then proves that none of
the originals stayed behind.

A module that is imported afresh (`import_fresh_module`) would bring the originals back. A finder in front of all others
therefore rebinds the names of each new copy as well.

Tests also start interpreters of their own, most of them isolated (`-I`), where neither PYTHONPATH nor a
sitecustomize is read. All of them are started by `subprocess.Popen`, which is wrapped: the code after `-c` gets a line
in front that does the same substitution there. A child that cannot be reached this way fails its test instead of
quietly running the original.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

TESTS_DIR = str(Path(__file__).resolve().parent.parent)

#: The replacement that changes nothing: the interpreter's own result.
STDLIB = "stdlib"

#: What the thread side of `concurrent.futures` exports. Pools of processes are a place of their own: the suites that
#: replace the rest have nothing to do with them.
OF_FUTURES = (
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "BrokenExecutor",
    "BrokenThreadPool",
    "CancelledError",
    "Executor",
    "Future",
    "InvalidStateError",
    "ThreadPoolExecutor",
    "TimeoutError",
    "as_completed",
    "wait",
)


#: The modules of `multiprocessing` in which something is replaced.
MULTIPROCESSING = (
    "multiprocessing",
    "multiprocessing.connection",
    "multiprocessing.context",
    "multiprocessing.heap",
    "multiprocessing.managers",
    "multiprocessing.pool",
    "multiprocessing.queues",
    "multiprocessing.shared_memory",
    "multiprocessing.sharedctypes",
    "multiprocessing.synchronize",
)


@dataclass(frozen=True)
class Place:
    """What is replaced together: the names of one public module.

    Attributes:
        homes: the modules of the standard library that keep the originals.
        names: what is replaced in them; empty for every public class and function.
        aliases: names in the homes, private ones too, that mean something the replacement has under another name.
        module: of the replacement's package; none where it is named as the place.
    """

    homes: tuple[str, ...]
    names: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    module: str = ""

    def pairs(self, home: ModuleType, source: ModuleType) -> list[tuple[str, Any, Any]]:
        """Return name, original and substitute of everything in `home` that `source` has something else for."""
        found = []
        for name in self.names or [*_public(home), *self.aliases]:
            original = vars(home).get(name)
            substitute = getattr(source, name, getattr(source, self.aliases.get(name, name), original))
            if original is not None and substitute is not original:
                found.append((name, original, substitute))
        return found


#: By the name that suites call it, which is mostly that of the replacement's module in its package.
PLACES: Mapping[str, Place] = {
    "futures": Place(
        ("concurrent.futures", "concurrent.futures._base", "concurrent.futures.thread"), names=OF_FUTURES
    ),
    "processes": Place(
        ("concurrent.futures", "concurrent.futures.process"),
        names=("BrokenProcessPool", "ProcessPoolExecutor"),
        module="futures",
    ),
    "threading": Place(("threading",), aliases={"_PyRLock": "RLock", "_CRLock": "RLock"}),
    "_thread": Place(("_thread",)),
    "queue": Place(("queue",), aliases={"_PySimpleQueue": "SimpleQueue"}),
    **{name: Place((name,)) for name in MULTIPROCESSING},
}
#: Modules that may have bound an original by name before the substitution.
SWEPT = (
    "concurrent.futures",
    "asyncio",
    "test",
    "threading",
    "queue",
    "sched",
    "unittest",
    "_threading_local",
)
#: Modules that the tests stand in, or run.
SEARCHED = ("asyncio", "test", "conformance.locks", "conformance.multiprocessing_fork")

_originals: dict[int, Any] = {}
_sources: dict[str, ModuleType] = {}


def source(replacement: str, place: str) -> ModuleType:
    """Return the module that takes a place: `raddle.queue` for "raddle" and "queue".

    A replacement without such a module stands for all places itself, which is how stand-ins are written.
    """
    if replacement == STDLIB:
        return importlib.import_module(PLACES[place].homes[0])
    name = f"{replacement}.{PLACES[place].module or place}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return importlib.import_module(replacement)


def taking(place: str) -> ModuleType:
    """Return the module that `install` has put in a place."""
    return _sources[place]


def install(replacement: str, places: Sequence[str]) -> None:
    """Bind the names of `places` to the objects of `replacement` wherever the originals are known.

    Arguments:
        replacement: name of an importable package or module, for instance "raddle". Names it lacks stay as they are;
            the name "stdlib" changes nothing, which is the baseline.
        places: keys of `PLACES`.

    Raises:
        ImportError: the module of a place cannot be imported.
        RuntimeError: it replaces nothing in some place.
    """
    _sources.update({place: source(replacement, place) for place in places})
    if "_thread" in places:  # the import system's own locks are nobody's business
        vars(importlib._bootstrap)["_thread"] = SimpleNamespace(**vars(importlib.import_module("_thread")))
    substitutes: dict[int, Any] = {}
    for place in places:
        homes = [importlib.import_module(name) for name in PLACES[place].homes]
        found = [(home, *pair) for home in homes for pair in PLACES[place].pairs(home, _sources[place])]
        if not found and replacement != STDLIB:
            raise RuntimeError(f"{replacement} has no class of its own for {place}")
        for home, name, original, substitute in found:
            setattr(home, name, substitute)
            if callable(
                original
            ):  # an equal constant may be the same object, and mean something else elsewhere
                _originals[id(original)] = original
                substitutes.setdefault(id(original), substitute)
    for module in _modules(SWEPT):
        for name, value in list(vars(module).items()):
            if id(value) in substitutes:
                setattr(module, name, substitutes[id(value)])
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what the other finders find, and has the substitution done in every new copy of a home."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if not any(name in PLACES[place].homes for place in _sources):
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)):
                spec.loader = spec.loader and _Loader(spec.loader)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    """Loads a home and rebinds its names."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        for name, substitute in _expected(module):
            setattr(module, name, substitute)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _expected(module: ModuleType) -> list[tuple[str, Any]]:
    """Return the names that a copy of a home should have replaced, with their substitutes."""
    return [
        (name, substitute)
        for place, source in _sources.items()
        if module.__name__ in PLACES[place].homes
        for name, _, substitute in PLACES[place].pairs(module, source)
    ]


def leftovers() -> list[str]:
    """Return the dotted names in loaded test modules, and in their classes, that still mean an original."""
    found = []
    for module in _modules(SEARCHED):
        for name, value in list(vars(module).items()):
            where = f"{module.__name__}.{name}"
            if id(value) in _originals:
                found.append(where)
            elif isinstance(value, ModuleType):
                found += [f"{where}.{missed}" for missed, _ in _expected(value)]
            elif isinstance(value, type) and value.__module__ == module.__name__:
                found += [
                    f"{where}.{attribute}"
                    for attribute, held in vars(value).items()
                    if id(getattr(held, "__func__", held)) in _originals
                ]
                found += [f"{where}, a {base.__name__}" for base in value.__bases__ if id(base) in _originals]
    return found


def bootstrap(replacement: str, places: Sequence[str]) -> str:
    """Return one line of Python that does the same as `install` in an interpreter started with `-c`, isolated or not.

    It leaves no name in `__main__` and nothing on `sys.path`.
    """
    code = (
        f"import sys; sys.path.insert(0, {TESTS_DIR!r}); from conformance import substitution; "
        f"substitution.install({replacement!r}, {tuple(places)!r}); sys.path.remove({TESTS_DIR!r})"
    )
    return f"exec({code!r}, {{}})\n"


def install_in_children(replacement: str, places: Sequence[str]) -> None:
    """Wrap `subprocess.Popen` so that interpreters started by tests substitute first."""
    launch = subprocess.Popen.__init__

    def __init__(self: Any, args: Any, *rest: Any, **options: Any) -> None:  # noqa: N807
        if not isinstance(args, str | bytes) and (command := list(args)) and command[0] == sys.executable:
            if "-c" not in command or "-S" in command:
                raise AssertionError(f"the substitution cannot reach a child started with {command!r}")
            at = command.index("-c") + 1
            # CPython takes away what its lines are indented by itself from 3.14 on.
            code = bootstrap(replacement, places) + textwrap.dedent(command[at])
            args = [*command[:at], code, *command[at + 1 :]]
        launch(self, args, *rest, **options)

    subprocess.Popen.__init__ = __init__  # type: ignore[method-assign]
    if "multiprocessing" in places:
        _install_in_processes(replacement, places)


def _install_in_processes(replacement: str, places: Sequence[str]) -> None:
    """Have the interpreters substitute first that `multiprocessing` starts, but for its resource tracker."""
    from multiprocessing import util

    sys.path.append(TESTS_DIR)  # which they are given, and find the tests by
    launch = util.spawnv_passfds

    def spawnv_passfds(path: Any, args: Any, fds: Any) -> int:
        command = [os.fsdecode(part) for part in args]
        if "-c" in command and "resource_tracker" not in command[command.index("-c") + 1]:
            command[command.index("-c") + 1] = (
                bootstrap(replacement, places) + command[command.index("-c") + 1]
            )
        return launch(path, command, fds)

    util.spawnv_passfds = spawnv_passfds


def _public(module: ModuleType) -> list[str]:
    """Return the names of the classes and functions in the module that are not private to it."""
    return [
        name for name, value in list(vars(module).items()) if not name.startswith("_") and callable(value)
    ]


def _modules(prefixes: tuple[str, ...]) -> list[ModuleType]:
    modules: list[tuple[str, object]] = list(sys.modules.items())  # programs put other things there too
    return [
        module
        for name, module in modules
        if isinstance(module, ModuleType) and any(name == p or name.startswith(f"{p}.") for p in prefixes)
    ]
