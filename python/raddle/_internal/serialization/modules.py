"""Which modules a fresh interpreter could import, and which ones have to be sent by value.

Pickle sends functions and classes by name: `module`, `qualname`. That is right as long as the receiver finds the same
thing under that name. It does not for `__main__`, which in a worker is another program, nor for modules that exist in
this process only: made with `types.ModuleType`, loaded from a file that is not on `sys.path` (pytest's `importlib`
mode, `spec_from_file_location`), or found by an import hook that this program installed. The verdict on a module is
made once, from its spec, without importing anything, and kept:

1. `__main__`, and what the user handed to `cloudpickle.register_pickle_by_value`: no.
2. The standard library, built-in and extension modules: yes. The last can't be sent by value at all.
3. Its file stands where `sys.path` or its package's `__path__` would have it: yes. This is string work, a
   microsecond.
4. Else the standard finders are asked, and those of editable installs. Yes if they find the same file.
5. No spec, but it is the attribute of an importable package that it should be: the package's import makes it
   (`py.path`, submodules of pybind11 extensions, `six.moves`). Anything else: no.

A plain pickle must not name a module of the second kind, and `outlook` says how to tell from its bytes.
"""

from __future__ import annotations

import importlib
import marshal
import os
import sys
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    ModuleSpec,
    PathFinder,
)
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sized
    from typing import Any

MAIN_NAMES = frozenset({"__main__", "__mp_main__"})
"""`__main__`, and what `multiprocessing` calls the parent's `__main__` in its own children."""

_STANDARD = sys.stdlib_module_names
_ENDINGS = frozenset(
    start + suffix
    for suffix in (*SOURCE_SUFFIXES, ".pyc", *EXTENSION_SUFFIXES)
    for start in ("", "/__init__")
)

_OF_CYTHON = ("cython_runtime", "_cython_")  # made by each extension that Cython has compiled

_verdicts: dict[str, bool] = {"__main__": False}
_by_value: list[str] = []
_path_seen: list[str] = []
_roots: frozenset[str] = frozenset()
_NONE_REGISTERED: frozenset[str] = frozenset()


class Outlook:
    """How to tell that a plain pickle names something that a worker could not import."""

    __slots__ = ("patterns", "sizes", "watched")

    patterns: tuple[bytes, ...]
    """If the bytes of a pickle (protocol 5) contain one of these, it must be made again, by value where needed."""
    watched: tuple[Sized, ...]
    sizes: tuple[int, ...]
    """As long as each of `watched` has this size, the patterns hold; afterwards ask for a new outlook.

    That misses a module that is loaded after another one has been removed, until the next one is loaded.
    """

    def __init__(self, patterns: tuple[bytes, ...], watched: tuple[Sized, ...]) -> None:
        self.patterns, self.watched = patterns, watched
        self.sizes = tuple(map(len, watched))

    def holds(self) -> bool:
        """Tell whether nothing has happened that could change it."""
        return tuple(map(len, self.watched)) == self.sizes


def dump_path() -> bytes:
    """Say where this process finds modules."""
    return marshal.dumps([_place(entry) for entry in sys.path if isinstance(entry, str)])


def _place(entry: str) -> str:
    try:
        # An empty one means the working directory.
        return os.path.abspath(entry) if not entry or os.path.exists(entry) else entry
    except OSError:
        return entry  # the working directory has been removed


def load_path(data: bytes) -> None:
    """Find modules where another process does, and after that where this one did."""
    path: list[str] = marshal.loads(data)
    sys.path[:] = [*path, *(entry for entry in sys.path if entry not in path)]
    importlib.invalidate_caches()


def outlook() -> Outlook:
    """Look at the modules that are new since the last time: about a microsecond each."""
    registered = registry()
    made = Outlook((), (sys.modules, sys.path, registered))
    _forget_if_path_changed()
    names = [name for name in sys.modules.keys() - _verdicts.keys() if isinstance(name, str)]
    begun = [name for name in names if not importable(name) and name not in _verdicts]
    by_value = [name for name in _by_value if name in sys.modules] if _by_value else []
    by_value += begun
    if registered:
        by_value += filter(is_registered, list(sys.modules))
    if begun:
        # It never holds: nothing tells when their imports are done.
        made.sizes = (sys.maxsize, *made.sizes[1:])
    made.patterns = tuple(map(_pattern, ["__main__", *by_value]))
    return made


def _pattern(name: str) -> bytes:
    # As pickle writes a short string, whose length is one byte, or four.
    encoded = name.encode("utf-8", "surrogatepass")
    return (len(encoded).to_bytes(1, "little") if len(encoded) < 256 else b"") + encoded


def registry() -> Sized:
    """Return the names that `cloudpickle.register_pickle_by_value` collects, without importing cloudpickle."""
    cloudpickle = sys.modules.get("cloudpickle.cloudpickle")
    found: Sized = getattr(cloudpickle, "_PICKLE_BY_VALUE_MODULES", _NONE_REGISTERED)
    return found


def is_registered(name: str) -> bool:
    """Tell whether the user wants this module, or a package that it is in, to go by value."""
    registered: Any = registry()
    if not registered:
        return False
    while name:
        if name in registered:
            return True
        name = name.rpartition(".")[0]
    return False


def importable(name: str) -> bool:
    """Tell whether a worker that imports this name gets the module that is loaded here."""
    if is_registered(name):
        return False
    verdict = _verdicts.get(name)
    if verdict is None:
        module = sys.modules.get(name)
        if module is None or _is_being_imported(name, module):
            return False  # not kept: soon it may be
        verdict = _verdicts[name] = _judge(name, module)
        if not verdict:
            _by_value.append(name)
    return verdict


def _is_being_imported(name: str, module: ModuleType) -> bool:
    """Tell whether the import of a module, or of a package that it is in, has begun and not ended.

    A worker that imported it would begin where this process is still at it, and then do as this one does.
    """
    try:
        if module.__dict__["__spec__"]._initializing:
            return True
    except (AttributeError, KeyError):
        pass
    package = name.rpartition(".")[0]
    parent = sys.modules.get(package) if package else None
    return parent is not None and _is_being_imported(package, parent)


def module_of_globals(variables: dict[str, Any]) -> ModuleType | None:
    """Return the importable module whose globals these are."""
    name = variables.get("__name__")
    if type(name) is str and name not in MAIN_NAMES:
        module = sys.modules.get(name)
        if module is not None and getattr(module, "__dict__", None) is variables and importable(name):
            return module
    return None


def _forget_if_path_changed() -> None:
    global _path_seen, _roots
    if sys.path != _path_seen:
        _path_seen = list(sys.path)
        _roots = frozenset(filter(None, (_root(entry) for entry in _path_seen if isinstance(entry, str))))
        _verdicts.clear()
        _verdicts["__main__"] = False
        _by_value.clear()


def _root(entry: str) -> str | None:
    try:
        return os.path.abspath(entry)
    except OSError:
        return None  # the working directory has been removed, and what it meant with it


def _judge(name: str, module: ModuleType) -> bool:
    if name in MAIN_NAMES:
        return False
    if name.partition(".")[0] in _STANDARD or name.startswith(_OF_CYTHON):
        return True
    if not issubclass(type(module), ModuleType):
        return True  # a stand-in that imports lazily; looking into it might make it do so
    spec = module.__dict__.get("__spec__")
    if not isinstance(spec, ModuleSpec):
        return _made_by_its_package(name, module)
    if isinstance(spec.loader, ExtensionFileLoader) or spec.origin in ("built-in", "frozen"):
        return True
    return (
        _stands_on_path(name, spec)
        or _is_found(name, spec)
        or _made_by_its_package(name, module)
        or _loaded_by_its_package(name, spec)
    )


def _stands_on_path(name: str, spec: ModuleSpec) -> bool:
    if not spec.origin or spec.name != name:
        return False
    _forget_if_path_changed()
    root, _, ending = spec.origin.rpartition("/" + name.replace(".", "/"))
    return root in _roots and ending in _ENDINGS


def _is_found(name: str, spec: ModuleSpec) -> bool:
    package = name.rpartition(".")[0]
    path = None
    if package:
        if not importable(package):
            return False
        path = getattr(sys.modules[package], "__path__", None)
        if path is None:
            return False
    editable = [finder for finder in sys.meta_path if _module_name(finder).startswith("__editable__")]
    finders: list[Any] = [PathFinder, *editable]
    for finder in finders:
        try:
            found = finder.find_spec(name, path)
        except Exception:
            continue
        if found is not None:
            return _file_of(found) == _file_of(spec)
    return False


def _file_of(spec: ModuleSpec) -> str | None:
    # A namespace package has no file.
    return os.path.realpath(spec.origin) if spec.has_location and spec.origin else None


def _made_by_its_package(name: str, module: ModuleType) -> bool:
    package, _, leaf = name.rpartition(".")
    return bool(package) and importable(package) and vars(sys.modules[package]).get(leaf) is module


def _loaded_by_its_package(name: str, spec: ModuleSpec) -> bool:
    # `import six` installs the hook that loads `six.moves.urllib`.
    package = name.partition(".")[0]
    return package != name and _module_name(spec.loader).partition(".")[0] == package and importable(package)


def _module_name(thing: object) -> str:
    name = getattr(thing if isinstance(thing, type) else type(thing), "__module__", "")
    return name if isinstance(name, str) else ""
