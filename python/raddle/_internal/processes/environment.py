"""The parent's side of a worker's start: what interpreter it needs, and what it is to find there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from marshal import dumps
from resource import getrlimit
from typing import Any, NamedTuple

from raddle._internal.processes import bootstrap, identity
from raddle._internal.processes.bootstrap import FROZEN
from raddle._internal.processes.privileges import groups, privileges, umask
from raddle._internal.processes.surroundings import LIMITS

_BOOTSTRAP = os.path.abspath(bootstrap.__file__)
SERVE = "raddle._internal.processes.serving:serve"
"""What workers run."""
# Variables that an interpreter or the C library looks at when it starts, and never again.
_STARTUP = (b"PYTHON", b"LD_", b"LC_", b"LANG", b"MALLOC_", b"GLIBC_")
# What other versions might read differently is left out.
_FORMAT = 4


class Specification(NamedTuple):
    """How to start an interpreter; `Spec` of the Rust side, field by field."""

    program: str
    arguments: list[str]
    environment: list[tuple[bytes, bytes]]
    preparation: bytes
    key: tuple[object, ...]
    """Not for the Rust side: of zygotes with equal keys one is enough, as workers follow the parent in all else."""


def specification(
    preload: Iterable[str] = (),
    *,
    zygote: bool = True,
    variables: Mapping[str, str] | None = None,
    serve: str | None = SERVE,
) -> Specification:
    """Describe a zygote, or an interpreter for one worker.

    Args:
        preload: modules to import before the first worker is forked.
        zygote: whether it is one.
        variables: of the environment, in addition to the parent's.
        serve: the function that its workers run, `module:name`; a zygote imports the module once for all of them.

    Raises:
        RuntimeError: it is not known which program the interpreter is; or a frozen program has not called
            `freeze_support`.
        TypeError, ValueError: `preload` names something that can't be imported.
    """
    program = _program()
    arguments = [*interpreter_flags(), _BOOTSTRAP]
    if getattr(sys, "frozen", False):
        if sys.argv[1:] == [FROZEN]:
            raise RuntimeError("a frozen program must call freeze_support() before it makes worker processes")
        arguments = [FROZEN]
    modules = list(preload)
    for module in modules:
        if not isinstance(module, str):
            raise TypeError(f"preload takes names of modules, not {module!r}")
        if module == "__main__" or not all(part.isidentifier() for part in module.split(".")):
            raise ValueError(f"preload can't import {module!r}")
    preparation = {
        "zygote": zygote,
        "preload": [serve.rpartition(":")[0], *modules] if serve else modules,
        **_surroundings(),
    }
    environment = _environment(variables)
    # A module of the user's may be found by, and look at, whatever there is; the interpreter itself only at these.
    seen: list[Any] = [item for item in environment.items() if item[0].startswith(_STARTUP)]
    if modules:
        seen = [environment, preparation["path"], preparation["folder"], preparation["argv"]]
    allowed = (*privileges(), groups(), *map(_version, modules))
    key = (zygote, program, tuple(arguments), tuple(modules), serve, dumps(seen, _FORMAT), allowed)
    return Specification(program, arguments, list(environment.items()), dumps(preparation, _FORMAT), key)


class Order(NamedTuple):
    """What a worker is to be."""

    body: bytes
    fds: tuple[int, ...]
    """To be sent along, after the worker's own five. They stay open, and are not the pool's to close."""


def order(
    settings: bytes,
    *,
    name: str,
    index: int,
    serve: str = SERVE,
    fds: tuple[int, ...] = (),
    variables: Mapping[str, str] | None = None,
) -> Order:
    """Describe one worker, as things stand now.

    Args:
        settings: what `serve` gets as its last argument.
        name: of its process, as `multiprocessing.current_process().name` tells it.
        index: its number, from 1, by which it is told from its siblings.
        serve: the function that the worker runs, `module:name`.
        fds: descriptors that `multiprocessing.forkserver.get_inherited_fds` is to return there.
        variables: of the environment, in addition to the parent's.
    """
    tracker = identity.tracker()
    contents: dict[str, Any] = {
        "serve": serve,
        "settings": settings,
        "process": identity.describe(name, index),
        "tracker": tracker is not None,
        "environment": _environment(variables),
        **_surroundings(),
    }
    return Order(dumps(contents, _FORMAT), (*(() if tracker is None else (tracker,)), *fds))


def _program() -> str:
    """Find the interpreter; who embeds it tells multiprocessing, so that it is asked first."""
    spawn = sys.modules.get("multiprocessing.spawn")
    program = (spawn and spawn.get_executable()) or sys.executable
    if not program:
        raise RuntimeError("sys.executable does not say which interpreter worker processes are to run")
    return os.fsdecode(program)


def interpreter_flags() -> list[str]:
    """Return the options that give another interpreter the flags of this one."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    known = {flag.partition("=")[0] for flag in flags}
    for name, value in sys._xoptions.items():
        if name not in known:
            flags += ["-X", name if value is True else f"{name}={value}"]
    return flags


def _environment(variables: Mapping[str, str] | None) -> dict[bytes, bytes]:
    environment = dict(os.environb)
    if variables:
        environment.update((os.fsencode(name), os.fsencode(value)) for name, value in variables.items())
    return environment


def _surroundings() -> dict[str, Any]:
    """What `surroundings.py` takes over, but for the environment."""
    get_digits = getattr(sys, "get_int_max_str_digits", None)
    return {
        "folder": _folder(),
        "umask": umask(),
        "affinity": sorted(os.sched_getaffinity(0)),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "limits": {name: getrlimit(number) for name, number in LIMITS.items()},
        "recursion_limit": sys.getrecursionlimit(),
        "int_max_str_digits": None if get_digits is None else get_digits(),
        "dont_write_bytecode": sys.dont_write_bytecode,
        "pycache_prefix": sys.pycache_prefix,
        "path": [_absolute(entry) for entry in sys.path if isinstance(entry, str)],
        "argv": [str(argument) for argument in getattr(sys, "argv", ())],
        "main": _main_module(),
    }


def _absolute(entry: str) -> str:
    """Let an entry of `sys.path` mean what it means here; an empty one means the working directory."""
    if entry and not os.path.isabs(entry):
        # What has been imported from it was found from the working directory of that time.
        found: object = getattr(sys.path_importer_cache.get(entry), "path", None)
        if isinstance(found, str) and os.path.isabs(found):
            return found
        if os.path.exists(entry):
            return os.path.abspath(entry)
    return entry


def _version(module: str) -> tuple[str, int] | None:
    """Tell which file a preloaded module comes from, and when that was written: an edited one is another one."""
    file = getattr(sys.modules.get(module), "__file__", None)
    try:
        return (file, os.stat(file).st_mtime_ns) if isinstance(file, str) else None
    except OSError:
        return None


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None  # it has been removed


def _main_module() -> dict[str, str | None]:
    main = sys.modules.get("__main__")
    file, package = getattr(main, "__file__", None), getattr(main, "__package__", None)
    return {
        "file": os.path.abspath(file) if isinstance(file, str) else None,
        "package": package if isinstance(package, str) else None,
    }
