"""How a pool starts its workers, and what each is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, get_args

from raddle import _raddle
from raddle._internal import serialization
from raddle._internal.machine import memory, memory_limit
from raddle._internal.processes import environment, forked, notes
from raddle._internal.processes.privileges import privileges

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

Start = Literal["zygote", "spawn", "fork"]

_BY_METHOD: dict[str, Start] = {"fork": "fork", "spawn": "spawn", "forkserver": "zygote"}


def way(start: Start | None, context: BaseContext | None) -> Start:
    """Decide how workers are started.

    Raises:
        ValueError: there is no such way.
        TypeError: `context` is none of multiprocessing's.
    """
    if start is None and context is not None:
        if not hasattr(context, "get_start_method"):
            raise TypeError(f"mp_context must be what multiprocessing.get_context() returns, not {context!r}")
        return _BY_METHOD[context.get_start_method()]
    if start is None:
        return "zygote"
    if start not in get_args(Start):
        raise ValueError(f"start must be 'zygote', 'spawn' or 'fork', not {start!r}")
    return start


def context(way: Start) -> BaseContext:
    """Return the context whose processes begin as the workers do: as copies of this one, or clean."""
    from raddle._internal.multiprocessing.contexts import CONTEXTS

    made: BaseContext = CONTEXTS["fork" if way == "fork" else "spawn"]
    return made


def launch(start: Start, preload: Iterable[str], variables: dict[str, str]) -> _raddle.LaunchSpec:
    """Describe how workers are started; where it makes no difference there is one description, and one zygote.

    Raises:
        TypeError, ValueError: `preload` is not names of modules.
    """
    if isinstance(preload, str):
        raise TypeError(f"preload takes several names of modules: [{preload!r}]")
    preload = tuple(preload)
    if start == "fork":
        return _raddle.LaunchSpec.own(forked.fork)
    specification = environment.specification(preload, zygote=start == "zygote", variables=variables)
    if (known := _launches.get(specification.key)) is not None:
        return known
    alone = environment.specification(preload, zygote=False, variables=variables).preparation
    made = _raddle.LaunchSpec(
        specification.program,
        specification.arguments,
        [(os.fsdecode(name), os.fsdecode(value)) for name, value in specification.environment],
        alone,
        specification.preparation if start == "zygote" else None,
    )
    if len(_launches) >= _MOST_LAUNCHES:
        _launches.pop(next(iter(_launches)), None)
    return _launches.setdefault(specification.key, made)


_launches: dict[tuple[object, ...], _raddle.LaunchSpec] = {}
_MOST_LAUNCHES = 16


class Order:
    """Makes the order for one worker, when it is started."""

    def __init__(
        self,
        way: Start,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
        variables: dict[str, str],
        max_memory: int | None,
        forward_logging: bool,
    ) -> None:
        self._start = None
        if initializer is not None:
            from raddle._internal.processes import inheritance

            self._start = inheritance.Start(initializer, initargs)
            if way != "fork":
                self._start.announce()
        self._forks = way == "fork"
        self._variables = variables
        self._privileges = privileges()
        self._max_memory = max_memory
        self._forward_logging = forward_logging

    def __call__(self, name: str, number: int) -> environment.Order:
        """Return the order of a worker that is started now, and the descriptors that it gets besides.

        Raises:
            PermissionError: this process has other privileges than when the pool was made.
        """
        if not self._forks and privileges() != self._privileges:
            raise PermissionError(
                "this process has changed its user, its privileges or what it sees since it made the pool: "
                "make another pool"
            )
        start: int | bytes | None = None
        fds: tuple[int, ...] = ()
        if self._start is not None:
            start, fds = (self._start.number, ()) if self._forks else self._start.dump()
        settings = {
            "initializer": start,
            "max_memory": self._max_memory,
            "variables": self._variables,
            "forward": notes.describe(name, self._forward_logging),
        }
        return environment.order(
            serialization.dumps(settings, None),
            name=name,
            index=number,
            serve="raddle._internal.processes.serving:serve",
            fds=fds,
            variables=self._variables,
        )


def default_arena_limit() -> int:
    """Return half of the memory that this process may use, in bytes."""
    return min(memory(), memory_limit() or memory()) // 2
