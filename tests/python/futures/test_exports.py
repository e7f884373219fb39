"""`raddle.futures` is a complete replacement of `concurrent.futures`."""

from __future__ import annotations

import concurrent.futures
import importlib
import pickle

import pytest

import raddle
import raddle.futures


@pytest.mark.parametrize("name", concurrent.futures.__all__)
def test_everything_the_stdlib_exports_is_there(name: str) -> None:
    assert name in raddle.futures.__all__
    assert name in dir(raddle.futures)
    try:
        theirs = getattr(concurrent.futures, name)
    except (AttributeError, ImportError):
        pytest.skip("this interpreter was built without it")
    ours = getattr(raddle.futures, name)
    if name in ("Future", "ThreadPoolExecutor"):
        assert issubclass(ours, theirs)
    elif name not in ("wait", "as_completed"):
        assert ours is theirs


@pytest.mark.parametrize("module", ["raddle", "raddle.futures"])
def test_what_is_exported_exists(module: str) -> None:
    namespace = importlib.import_module(module)
    for name in namespace.__all__:
        if name != "InterpreterPoolExecutor":
            assert getattr(namespace, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = namespace.nonsense


def test_errors_are_what_a_user_of_python_expects() -> None:
    import queue

    assert issubclass(raddle.TaskTimeout, TimeoutError)
    assert issubclass(raddle.DependencyFailed, RuntimeError)
    assert issubclass(raddle.ExecutorFull, queue.Full)
    assert issubclass(raddle.ForkError, RuntimeError)


@pytest.mark.parametrize("module", ["raddle", "raddle.futures"])
def test_what_is_exported_says_where_it_is_found(module: str) -> None:
    """Tracebacks show it, and pickles name it."""
    namespace = importlib.import_module(module)
    for name in namespace.__all__:
        exported = getattr(namespace, name, None)
        assert "._" not in (getattr(exported, "__module__", None) or "").replace(
            "concurrent.futures._base", ""
        )
    error = raddle.TaskTimeout("slow")
    assert pickle.loads(pickle.dumps(error)).args == ("slow",)
    assert b"_internal" not in pickle.dumps(error)
