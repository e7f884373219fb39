"""`raddle.threading` and `raddle._thread` are complete replacements of `threading` and `_thread`."""

from __future__ import annotations

import _thread
import importlib
import pickle
import threading
from types import ModuleType

import pytest

import raddle._thread
import raddle.threading

OURS = {"Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore", "Thread", "Timer"}
OURS |= {"_RLock", "_CRLock", "_allocate_lock", "LockType", "allocate", "allocate_lock", "lock"}
MODULES = [(raddle.threading, threading), (raddle._thread, _thread)]
A_MODULES_OWN = {"__all__", "__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__"}
A_MODULES_OWN |= {"__package__", "__spec__"}


@pytest.mark.parametrize(("ours", "theirs"), MODULES)
def test_everything_the_stdlib_has_is_there(ours: ModuleType, theirs: ModuleType) -> None:
    names = set(dir(theirs)) - A_MODULES_OWN
    assert {"get_ident", "TIMEOUT_MAX"} <= names
    for name in names:
        assert name in dir(ours)
        if name not in OURS:
            assert getattr(ours, name) is getattr(theirs, name), name
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = ours.nonsense


@pytest.mark.parametrize(("ours", "theirs"), MODULES)
def test_what_is_exported_exists(ours: ModuleType, theirs: ModuleType) -> None:
    public = {name for name in vars(theirs) if not name.startswith("_")}
    assert set(ours.__all__) >= set(getattr(theirs, "__all__", public))
    namespace: dict[str, object] = {}
    exec(f"from {ours.__name__} import *", namespace)
    assert set(ours.__all__) <= namespace.keys()


def test_hooks_that_are_set_here_are_set_there(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(raddle.threading, "excepthook", seen.append)
    assert threading.excepthook == seen.append
    thread = raddle.threading.Thread(target=int, args=["x"])
    thread.start()
    thread.join()
    assert [args.exc_type for args in seen] == [ValueError]
    monkeypatch.undo()
    assert raddle.threading.excepthook is threading.excepthook is not seen.append


def test_other_names_are_the_modules_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raddle.threading, "Thread", int)
    assert threading.Thread is not int
    monkeypatch.setattr(raddle.threading, "new_name", 1, raising=False)
    assert not hasattr(threading, "new_name")
    monkeypatch.undo()
    assert not hasattr(raddle.threading, "new_name")


def test_classes_say_where_they_are_found() -> None:
    for name in raddle.threading.__all__:
        exported = getattr(raddle.threading, name)
        assert "._" not in (getattr(exported, "__module__", None) or "").replace("_thread", ""), name


def test_errors_are_what_a_user_of_python_expects() -> None:
    assert issubclass(raddle.threading.DeadlockError, RuntimeError)
    assert issubclass(raddle.threading.DeadlockWarning, RuntimeWarning)
    error = raddle.threading.DeadlockError("a circle")
    assert error.members == ()
    assert str(pickle.loads(pickle.dumps(error))) == "a circle"


def test_a_reload_changes_nothing() -> None:
    before = raddle.threading.Thread
    importlib.reload(raddle.threading)
    assert raddle.threading.Thread is before
    assert raddle.threading._active is threading._active  # type: ignore[attr-defined]
