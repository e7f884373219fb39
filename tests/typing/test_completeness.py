"""Nothing that is public is untyped: whatever can be reached when a program runs is known to type checkers, in full."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import raddle
import raddle.futures
import raddle.queue
import raddle.threading
from tests.typing.checker import complaints

CONTEXTS = ("__enter__", "__exit__", "__aenter__", "__aexit__", "__await__")

# `Any` on purpose: these take any callable with its arguments, or futures and iterables of anything.
ANY_ON_PURPOSE = {
    "raddle.ThreadPoolExecutor": "initializer and its arguments",
    "raddle.ThreadPoolExecutor.map": "a callable of any arguments, and iterables of these",
    "raddle.ThreadPoolExecutor.options": "futures of any results",
    "raddle.ProcessPoolExecutor": "initializer and its arguments",
    "raddle.ProcessPoolExecutor.map": "a callable of any arguments, and iterables of these",
    "raddle.ProcessPoolExecutor.options": "futures of any results",
    "raddle.futures.TaskView.map": "a callable of any arguments, and iterables of these",
    "raddle.Future.__await__": "what a coroutine yields is its event loop's affair",
    "raddle.wait": "futures of any results",
    "raddle.as_completed": "futures of any results",
    "raddle.queue.Queue.queue": "whatever the hooks make of it",
    "raddle.queue.LifoQueue.queue": "whatever the hooks make of it",
    "raddle.queue.PriorityQueue.queue": "whatever the hooks make of it",
    "raddle.threading.Thread": "a callable of any arguments, and these",
    "raddle.threading.Timer": "a callable of any arguments, and these",
    "raddle.threading.Event.__await__": "what a coroutine yields is its event loop's affair",
    "raddle.threading.Latch.__await__": "what a coroutine yields is its event loop's affair",
    "raddle.threading.Standing": "tasks of any results",
    "raddle.threading.Standing.task": "tasks of any results",
}


def public_names() -> dict[str, object]:
    """Return what the public modules export of Raddle's own, each under the shortest name."""
    modules: list[ModuleType] = [raddle, raddle.futures, raddle.threading, raddle.queue]
    names: dict[str, object] = {}
    for module in modules:
        for name in module.__all__:
            exported = getattr(module, name)
            own = getattr(exported, "__module__", "raddle").startswith("raddle")
            if own and not any(exported is known for known in names.values()):
                names[f"{module.__name__}.{name}"] = exported
    return names


def members(cls: type) -> Iterator[str]:
    """Yield the public members that a class does not have from elsewhere."""
    own = {name for base in cls.__mro__ if base.__module__.startswith("raddle") for name in vars(base)}
    yield from sorted(name for name in own if not name.startswith("_") or name in CONTEXTS)
    if dataclasses.is_dataclass(cls):
        yield from (field.name for field in dataclasses.fields(cls))


def expressions() -> Iterator[tuple[str, str]]:
    """Yield a label and an expression for everything that is public."""
    for label, exported in public_names().items():
        yield label, label
        if inspect.isclass(exported):
            for member in members(exported):
                yield f"{label}.{member}", f"cast('{label}', ...).{member}"


@pytest.mark.slow
def test_no_public_type_is_unknown(tmp_path: Path) -> None:
    labels = dict(expressions())
    assert {"raddle.wait", "raddle.Future.result", "raddle.ThreadPoolExecutor.submit"} <= labels.keys()
    lines = [f"reveal_type({expression})" for expression in labels.values()]
    script = tmp_path / "script.py"
    head = "from typing import cast\nimport raddle\nimport raddle.futures, raddle.threading, raddle.queue\n"
    # A future of which nobody knows the result would show Any everywhere, and so would a queue.
    generic = re.compile(r"'(raddle\.Future|raddle\.Shared|raddle\.queue\.\w*Queue)'")
    script.write_text(head + generic.sub(r"'\1[int]'", "\n".join(lines)) + "\n")

    revealed: dict[int, list[str]] = {}
    for line in complaints([script], tmp_path):
        found = re.match(r"script\.py:(\d+): note: (?:Revealed type is )?(.*)", line)
        assert found, line
        shown = found[2].replace("Coroutine[Any, Any, ", "Coroutine[")  # of an `async def`
        revealed.setdefault(int(found[1]) - head.count("\n") - 1, []).append(shown)
    assert len(revealed) == len(labels)
    with_any = {label for number, label in enumerate(labels) if re.search(r"\bAny\b", str(revealed[number]))}
    assert with_any == set(ANY_ON_PURPOSE)
