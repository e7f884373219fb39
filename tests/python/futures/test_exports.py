"""`raddle.futures` is a complete replacement of `concurrent.futures`."""

from __future__ import annotations

import concurrent.futures
import importlib
import os
import pickle
import subprocess
import sys
import textwrap

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
    if name in ("Future", "ProcessPoolExecutor", "ThreadPoolExecutor"):
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


def test_importing_the_package_imports_nothing_that_takes_long() -> None:
    program = """
        import sys
        import raddle, raddle._internal
        heavy = {"asyncio", "concurrent.futures", "enum", "logging", "re", "threading", "typing"}
        assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
        assert raddle.futures is sys.modules["raddle.futures"]
        assert raddle.wait is raddle.futures.wait
    """
    # Without `site`, which may import anything: what the environment has installed decides.
    folder = os.path.dirname(os.path.dirname(raddle.__file__))
    source = f"import sys; sys.path.append({folder!r})\n" + textwrap.dedent(program)
    subprocess.run([sys.executable, "-I", "-S", "-c", source], check=True)


@pytest.mark.parametrize(
    "program",
    [
        "from raddle.threading import Condition; c = Condition(); c.acquire(); c.wait(0.001)",
        "from raddle.queue import SimpleQueue; SimpleQueue().put(1)",
        "from raddle._thread import allocate_lock; allocate_lock().acquire()",
        "from raddle import wait; wait([])",
        "from raddle import *; TaskTimeout, as_completed",
        "import raddle; raddle.futures.ThreadPoolExecutor",
    ],
)
def test_each_module_can_be_the_first_one_imported(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True)
