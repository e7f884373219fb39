"""How a pool starts its workers, and what each is told."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

from raddle import _raddle
from raddle._internal import serialization
from raddle._internal.processes import environment

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

Start = Literal["zygote", "spawn", "fork"]

_BY_METHOD: dict[str, Start] = {"fork": "fork", "spawn": "spawn", "forkserver": "zygote"}


def way(start: Start | None, context: BaseContext | None) -> Start:
    """Decide how workers are started.

    Raises:
        ValueError: there is no such way.
    """
    if start is None:
        return "zygote" if context is None else _BY_METHOD[context.get_start_method()]
    if start not in get_args(Start):
        raise ValueError(f"start must be 'zygote', 'spawn' or 'fork', not {start!r}")
    return start


def launch(start: Start, preload: tuple[str, ...]) -> _raddle.LaunchSpec:
    """Describe how workers are started; equal descriptions are one, so that pools share a zygote."""
    if start == "fork":
        raise NotImplementedError("start='fork'")
    specification = environment.specification(preload, zygote=start == "zygote")
    return _shared(
        start,
        specification.program,
        tuple(specification.arguments),
        tuple(specification.environment),
        specification.preparation,
    )


@functools.lru_cache(maxsize=16)
def _shared(
    kind: str,
    program: str,
    arguments: tuple[str, ...],
    variables: tuple[tuple[bytes, bytes], ...],
    preparation: bytes,
) -> _raddle.LaunchSpec:
    decoded = [(os.fsdecode(name), os.fsdecode(value)) for name, value in variables]
    return _raddle.LaunchSpec(kind, program, list(arguments), decoded, preparation)


class Order:
    """Makes the order for one worker, when it is started."""

    def __init__(
        self,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
        native_threads: int | Literal["auto"] | None,
        max_workers: int,
    ) -> None:
        self._start = (initializer, initargs)
        self._native_threads = native_threads
        self._max_workers = max_workers

    def __call__(self, name: str, number: int) -> environment.Order:
        """Return the order of a worker that is started now, and the descriptors that it gets besides."""
        settings = {"initializer": serialization.dumps(self._start, None) if self._start[0] else None}
        return environment.order(
            serialization.dumps(settings, None),
            name=name,
            index=number,
            serve="raddle._internal.processes.serving:serve",
        )


def default_arena_limit() -> int:
    """Return half of the memory that this process may use, in bytes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path) as file:
                memory = min(memory, int(file.read()))
        except (OSError, ValueError):
            continue
    return memory // 2


def ignore_note(worker: str, kind: int, body: bytes) -> None:
    """Do nothing with what a worker says besides."""
