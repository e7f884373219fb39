"""Hold the code to its layers.

Rust: each crate may use the crates below it and none above or beside; pyo3 is in the tree of
``raddle-python`` alone. Python: public modules import ``raddle._internal``, which alone imports the extension
``raddle._raddle``; nothing imports upward. Imports that only a type checker sees count too.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "raddle"

# Lowest first; a crate may use those before it, but for its neighbours.
CRATES = ["raddle-sys", "raddle-sync", "raddle-task", "raddle-pool", "raddle-process", "raddle-python"]
NEIGHBOURS = {"raddle-pool", "raddle-process"}
ONLY_CRATE_WITH_PYO3 = "raddle-python"

EXTENSION, INTERNAL, PUBLIC, ROOT_MODULE = range(4)


def crate_faults() -> Iterator[str]:
    """Yield what is wrong between the crates."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    metadata: dict[str, Any] = json.loads(answer.stdout)
    names: dict[str, str] = {package["id"]: package["name"] for package in metadata["packages"]}
    uses: dict[str, list[str]] = {node["id"]: node["dependencies"] for node in metadata["resolve"]["nodes"]}
    for member in metadata["workspace_members"]:
        name = names[member]
        if name not in CRATES:
            yield f"{name}: give this crate its place in CRATES of {Path(__file__).name}"
            continue
        for used in sorted(names[package] for package in uses[member]):
            if used in CRATES[CRATES.index(name) :] or {name, used} == NEIGHBOURS:
                yield f"{name} uses {used}, which is not below it"
        if name != ONLY_CRATE_WITH_PYO3:
            for used in sorted(names[package] for package in reachable(member, uses)):
                if used.startswith("pyo3"):
                    yield f"{name} has {used} in its tree"


def reachable(start: str, uses: dict[str, list[str]]) -> set[str]:
    """Return all packages that `start` depends on, directly or not."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = set(uses[waiting.pop()]) - seen
        seen |= new
        waiting.extend(new)
    return seen


def layer(module: str) -> int:
    """Return the layer of a module of the package, by its full name."""
    if module == "raddle":
        return ROOT_MODULE
    if module == "raddle._raddle":
        return EXTENSION
    return INTERNAL if module.split(".")[1] == "_internal" else PUBLIC


def imports(tree: ast.AST, package: str, known: set[str]) -> Iterator[tuple[int, str]]:
    """Yield line and name of every module of this package that the syntax tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                if full in known or base in known:
                    yield node.lineno, full if full in known else base


def python_faults(folder: Path) -> Iterator[str]:
    """Yield what is wrong between the modules of the package in `folder`."""
    modules: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        parts = ("raddle", *path.relative_to(folder).with_suffix("").parts)
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    known = {*modules, "raddle._raddle"}
    for name, path in modules.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        own = layer(name)
        for line, imported in imports(ast.parse(path.read_text(encoding="utf-8")), package, known):
            place = f"{path.relative_to(folder.parent)}:{line}: {name} imports {imported}"
            if layer(imported) > own:
                yield f"{place}, which is above it"
            elif layer(imported) == EXTENSION and own != INTERNAL:
                yield f"{place}; only raddle._internal does that"


def main() -> int:
    faults = [*crate_faults(), *python_faults(PACKAGE)]
    for fault in faults:
        print(fault, file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
