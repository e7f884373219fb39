"""Workers may do what their parent may do now, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from raddle.futures import ProcessPoolExecutor

WAYS = ["zygote", "spawn", "fork"]

HEAD = """
import os, resource, sys
from raddle.futures import ProcessPoolExecutor

start = sys.argv[1]

def look():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    mask = os.umask(0)
    return os.getuid(), os.getgroups(), mask, sorted(os.sched_getaffinity(0)), os.nice(0), limit

with ProcessPoolExecutor(1, start=start) as pool:
    pool.submit(abs, 1).result()
"""


def run(tmp_path: Path, start: str, code: str) -> str:
    script = tmp_path / "script.py"
    script.write_text(HEAD + textwrap.dedent(code))
    done = subprocess.run([sys.executable, str(script), start], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("start", WAYS)
def test_a_later_pool_follows_what_has_changed(tmp_path: Path, start: str) -> None:
    assert not run(
        tmp_path,
        start,
        """
        os.umask(0o027)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        os.nice(3)
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, 400))
        with ProcessPoolExecutor(1, start=start) as pool:
            found = pool.submit(look).result()
        assert found[2:] == (0o027, sorted(os.sched_getaffinity(0)), 3, (300, 400)), found
        """,
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("start", WAYS)
def test_a_process_that_gives_up_its_privileges_has_workers_without_them(tmp_path: Path, start: str) -> None:
    # The interpreter and the packages may stand where only root can read.
    assert "dropped" in run(
        tmp_path,
        start,
        """
        old = ProcessPoolExecutor(1, start=start)
        os.setgroups([])
        os.setuid(65534)
        try:
            os.listdir(os.path.dirname(sys.executable))
            os.listdir(os.path.dirname(resource.__file__))
        except PermissionError:
            print("dropped, and this interpreter is root's alone")
            os._exit(0 if not sys.stdout.flush() else 1)
        with ProcessPoolExecutor(1, start=start) as pool:
            found = pool.submit(look).result()
        assert found[:2] == (65534, []), found
        refused = old.submit(look).exception() if start != "fork" else None
        assert start == "fork" or "make another pool" in f"{refused} {refused.__cause__}", refused
        print("dropped")
        """,
    )


def test_a_relative_entry_of_the_path_means_what_it_meant(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "beside.py").write_text("def answer():\n    return 42\n")
    (tmp_path / "elsewhere").mkdir()
    code = """
        os.chdir(os.path.dirname(os.path.abspath(sys.argv[0])))
        sys.path.insert(0, "inner")
        import beside
        os.chdir("elsewhere")
        with ProcessPoolExecutor(1, start=start) as pool:
            print(pool.submit(beside.answer).result())
    """
    assert run(tmp_path, "zygote", code) == "42\n"


def test_a_preloaded_module_that_was_edited_is_loaded_anew(tmp_path: Path) -> None:
    module = tmp_path / "edited.py"
    module.write_text("def answer():\n    return 'old'\n")
    code = """
        import importlib
        import edited
        with ProcessPoolExecutor(1, start=start, preload=["edited"]) as pool:
            print(pool.submit(edited.answer).result())
        with open(edited.__file__, "w") as file:
            file.write("def answer():\\n    return 'newer'\\n")
        importlib.reload(edited)
        with ProcessPoolExecutor(1, start=start, preload=["edited"]) as pool:
            print(pool.submit(edited.answer).result())
    """
    assert run(tmp_path, "zygote", code) == "old\nnewer\n"


def test_one_name_is_not_several() -> None:
    with pytest.raises(TypeError, match=r"\['json'\]"):
        ProcessPoolExecutor(1, preload="json")


def test_a_name_is_no_context() -> None:
    with pytest.raises(TypeError, match="get_context"):
        ProcessPoolExecutor(1, mp_context="fork")  # type: ignore[arg-type]
