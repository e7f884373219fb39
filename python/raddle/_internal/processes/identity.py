"""What `multiprocessing` thinks a process is.

Code asks `multiprocessing.current_process()` and `parent_process()` in workers, makes names of their answers, and
connects to managers with the parent's key. Importing `multiprocessing` takes longer than making a worker, so that
nothing here imports it: where it has not been imported, this is seen to when it is.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_PROCESS = "multiprocessing.process"
_TRACKER = "multiprocessing.resource_tracker"


def describe(name: str, index: int) -> dict[str, Any]:
    """Describe, in the parent, who a worker is to be.

    Args:
        name: of its process.
        index: its number, from 1, by which it is told from its siblings.
    """
    process = sys.modules.get(_PROCESS)
    parent = process.current_process() if process else None
    return {
        "name": name,
        "identity": (*getattr(parent, "_identity", ()), index),
        "parent_name": getattr(parent, "name", "MainProcess"),
        "parent": os.getpid(),
        "key": bytes(parent.authkey) if parent else _key_to_come(),
    }


def tracker() -> int | None:
    """Return, in the parent, the descriptor by which its tracker of resources is told of them; None if it has none.

    A worker that attaches shared memory must tell the same tracker: its own would remove the memory when the worker
    ends.
    """
    module = sys.modules.get(_TRACKER)
    return None if module is None else module.getfd()


def adopt(described: dict[str, Any], sentinel: int, tracker: int | None) -> None:
    """Be, in a worker, who the parent described.

    Args:
        described: by `describe`.
        sentinel: a descriptor that becomes readable when the parent ends.
        tracker: what `tracker` returned.
    """

    def adopt_process(module: Any) -> None:
        process = module._current_process
        process._name = described["name"]
        process._identity = described["identity"]
        process._parent_pid = described["parent"]
        process._config["authkey"] = module.AuthenticationString(described["key"])
        module._parent_process = module._ParentProcess(
            described["parent_name"], described["parent"], sentinel
        )
        module._children = set()

    def adopt_tracker(module: Any) -> None:
        if tracker is not None:
            module._resource_tracker._fd = tracker
            return
        # The parent may make shared memory after this worker. Who makes it removes it.
        for name in ("register", "unregister"):
            setattr(module, name, _but_for_shared_memory(getattr(module, name)))

    when_imported(_PROCESS, adopt_process)
    when_imported(_TRACKER, adopt_tracker)


def inherit(fds: list[int]) -> None:
    """Have multiprocessing find these descriptors here, to which what was pickled for this process refers."""

    def tell(module: Any) -> None:
        module._forkserver._inherited_fds = fds

    if fds:
        when_imported("multiprocessing.forkserver", tell)


def _but_for_shared_memory(function: Callable[[str, str], None]) -> Callable[[str, str], None]:
    def tell(name: str, rtype: str) -> None:
        if rtype != "shared_memory":
            function(name, rtype)

    return tell


_key: bytes | None = None


def _key_to_come() -> bytes:
    """Choose the key that this process has as soon as it imports `multiprocessing`."""
    global _key
    if _key is None:
        key = _key = os.urandom(32)

        def set_key(module: Any) -> None:
            module.current_process().authkey = key

        when_imported(_PROCESS, set_key)
    return _key


def when_imported(name: str, act: Callable[[Any], None]) -> None:
    """Call `act` with a module: now, or after it has been imported."""
    if module := sys.modules.get(name):
        act(module)
    else:
        sys.meta_path.insert(0, _Finder(name, act))


class _Finder:
    """Finds one module as others do, and sees to what is to be done once it has run."""

    def __init__(self, name: str, act: Callable[[Any], None]) -> None:
        self.name = name
        self.act = act

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.name or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            if (spec := finder.find_spec(name, path, target)) is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self.act)  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """Loads a module as another loader does, and then acts."""

    def __init__(self, loader: Any, act: Callable[[Any], None]) -> None:
        self.loader = loader
        self.act = act

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.act(module)
