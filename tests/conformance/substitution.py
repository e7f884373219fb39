"""Puts one module's classes where `concurrent.futures` keeps its own, for the life of a process.

The interpreter's tests reach the classes by many names: `concurrent.futures.Future`,
`concurrent.futures._base.Future`, `concurrent.futures.thread.ThreadPoolExecutor`, or a name of their own
after `from … import`. `install` runs before any test module is imported, so each of those names is bound to
the replacement from the start, class attributes and module-level futures included; `leftovers` then proves
that none of the originals stayed behind.

Tests also start interpreters of their own, most of them isolated (`-I`), where neither PYTHONPATH nor a
sitecustomize is read. `test.support.script_helper` starts all of them, so its one launching function is
wrapped: the code after `-c` gets a line in front that does the same substitution there. A child that cannot
be reached this way fails its test instead of quietly running the original.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

TESTS_DIR = str(Path(__file__).resolve().parent.parent)

#: What the thread side of `concurrent.futures` exports. Process and interpreter pools are another suite's business.
REPLACED = (
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
HOMES = ("concurrent.futures", "concurrent.futures._base", "concurrent.futures.thread")
#: Modules that may have bound an original by name before the substitution.
SWEPT = ("concurrent.futures", "asyncio", "test")

_originals: dict[int, Any] = {}


def install(replacement: str) -> None:
    """Bind the names of `REPLACED` to the objects of the module `replacement` wherever the originals are known.

    Arguments:
        replacement: name of an importable module, for instance "raddle.futures". Names it lacks stay as they are;
            "concurrent.futures" itself therefore changes nothing, which is the baseline.

    Raises:
        ImportError: the module cannot be imported.
        RuntimeError: it replaces nothing although it is another module than `concurrent.futures`.
    """
    source = importlib.import_module(replacement)
    substitutes: dict[int, Any] = {}
    for home in map(importlib.import_module, HOMES):
        for name in REPLACED:
            original = getattr(home, name, None)
            substitute = getattr(source, name, original)
            if original is not None and substitute is not original:
                _originals[id(original)] = original
                substitutes[id(original)] = substitute
                setattr(home, name, substitute)
    if not substitutes and replacement != "concurrent.futures":
        raise RuntimeError(f"{replacement} has no class of its own to put in place of concurrent.futures'")
    for module in _modules(SWEPT):
        for name, value in list(vars(module).items()):
            if id(value) in substitutes:
                setattr(module, name, substitutes[id(value)])


def leftovers() -> list[str]:
    """Return the dotted names in loaded test and asyncio modules, and in their classes, that still mean an original."""
    found = []
    for module in _modules(("asyncio", "test")):
        for name, value in list(vars(module).items()):
            if id(value) in _originals:
                found.append(f"{module.__name__}.{name}")
            elif isinstance(value, type) and value.__module__ == module.__name__:
                found += [
                    f"{module.__name__}.{name}.{attribute}"
                    for attribute, held in vars(value).items()
                    if id(held) in _originals
                ]
    return found


def bootstrap(replacement: str) -> str:
    """Return one line of Python that does `install(replacement)` in an interpreter started with `-c`, isolated or not.

    It leaves no name in `__main__` and nothing on `sys.path`.
    """
    code = (
        f"import sys; sys.path.insert(0, {TESTS_DIR!r}); "
        f"from conformance import substitution; substitution.install({replacement!r}); sys.path.remove({TESTS_DIR!r})"
    )
    return f"exec({code!r}, {{}})\n"


def install_in_children(replacement: str) -> None:
    """Wrap `test.support.script_helper` so that interpreters started by tests substitute `replacement` first."""
    from test.support import script_helper  # type: ignore[import-not-found,unused-ignore]

    launch = script_helper.run_python_until_end

    def run_python_until_end(*args: str, **env_vars: Any) -> Any:
        if "-c" not in args or "-S" in args:
            raise AssertionError(f"the substitution cannot reach a child started with {args!r}")
        at = args.index("-c") + 1
        return launch(*args[:at], bootstrap(replacement) + args[at], *args[at + 1 :], **env_vars)

    script_helper.run_python_until_end = run_python_until_end


def _modules(prefixes: tuple[str, ...]) -> list[ModuleType]:
    modules: list[tuple[str, object]] = list(sys.modules.items())  # programs put other things there too
    return [
        module
        for name, module in modules
        if isinstance(module, ModuleType) and any(name == p or name.startswith(f"{p}.") for p in prefixes)
    ]
