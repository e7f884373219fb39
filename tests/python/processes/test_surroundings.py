"""Workers find what the parent has: however that was started, and whatever it has changed since."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import sysconfig
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

from tests.python.processes.support import run_program, zygote

ROOT = Path(__file__).resolve().parents[3]
# Where raddle and what the tests need are found, whatever the options: a changed sys.path has to travel.
HEAD = f"""
import sys
sys.path += [{str(ROOT)!r}, {sysconfig.get_path("purelib")!r}]
from tests.python.processes.support import zygote

def ask(expression, preload=()):
    with zygote(preload) as z:
        z.expect("ready")
        return z.evaluate(expression)
"""
FLAGS = f"""{HEAD}
expression = "(tuple(__import__('sys').flags), __import__('sys').warnoptions, __import__('sys')._xoptions)"
assert ask(expression) == (tuple(sys.flags), sys.warnoptions, sys._xoptions)
"""


@pytest.mark.parametrize(
    "options",
    [
        "",
        "-I",
        "-E",
        "-S",
        "-s",
        "-O",
        "-OO",
        "-B",
        "-bb",
        "-X dev",
        "-W error",
        "-W ignore -W default::UserWarning",
        "-X utf8",
        "-X faulthandler -X tracemalloc=3",
        "-X pycache_prefix=/nonexistent -X warn_default_encoding",
        "-I -S -X frozen_modules=off",
    ],
)
def test_the_interpreter_has_the_flags_of_the_parent(options: str) -> None:
    run_program([sys.executable, *options.split(), "-c", FLAGS])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="newer than 3.10")
def test_newer_flags_travel_too() -> None:
    run_program([sys.executable, "-P", "-X", "int_max_str_digits=5000", "-X", "no_debug_ranges", "-c", FLAGS])


def test_the_seed_of_hashes_travels_if_it_was_set() -> None:
    program = f"{HEAD}\nassert ask(\"hash('x')\") == hash('x')"
    run_program([sys.executable, "-c", program], PYTHONHASHSEED="7")
    program = f"{HEAD}\nassert ask(\"hash('x')\") != hash('x')"
    run_program([sys.executable, "-c", program], PYTHONHASHSEED="random")


def test_a_virtual_environment_is_the_workers_too(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    program = f"{HEAD}\nprint(ask(\"(__import__('sys').prefix, __import__('sys').executable)\"))"
    assert run_program([python, "-c", program]).strip() == str((str(tmp_path / "venv"), str(python)))


MAIN = "(__main__.__name__, getattr(__main__, '__file__', None), __main__.__package__, sys.argv, sys.path[0])"
PRINT_MAIN = f"""{HEAD}
print(repr(ask("import __main__, sys; answer = {MAIN}")))
"""
# Without a guard: if any of it ran again in another process, that would print more, or never end.


def test_a_script_without_a_guard(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(PRINT_MAIN)
    printed = run_program([sys.executable, "script.py", "x"], folder=tmp_path)
    file = str(tmp_path / "script.py")
    assert eval(printed) == ("__main__", file, None, ["script.py", "x"], str(tmp_path))


def test_source_on_the_command_line(tmp_path: Path) -> None:
    printed = run_program([sys.executable, "-c", PRINT_MAIN, "x"], folder=tmp_path)
    assert eval(printed) == ("__main__", None, None, ["-c", "x"], "")


def test_source_on_standard_input(tmp_path: Path) -> None:
    printed = run_program([sys.executable, "-"], stdin=PRINT_MAIN, folder=tmp_path)
    assert eval(printed)[0::2] == ("__main__", None, "")


def test_a_module_and_a_package(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "__main__.py").write_text(PRINT_MAIN)
    printed = run_program([sys.executable, "-m", "package"], folder=tmp_path)
    file = str(tmp_path / "package" / "__main__.py")
    assert eval(printed) == ("__main__", file, "package", [file], str(tmp_path))


def test_a_zip_application_imported_from(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.writestr("inside.py", "value = 7")
        archive.writestr("__main__.py", f"{HEAD}\nprint(ask('__import__(\"inside\").value', ['inside']))")
    (tmp_path / "else").mkdir()
    # By a path that means nothing in another folder.
    assert run_program([sys.executable, "app.pyz"], folder=tmp_path) == "7\n"
    assert run_program([sys.executable, "../app.pyz"], folder=tmp_path / "else") == "7\n"


def test_a_session_whose_main_module_has_no_file(tmp_path: Path) -> None:
    run = "code.InteractiveConsole({'__name__': '__main__'}).runsource(open('source').read(), '<in>', 'exec')"
    program = f"import code; {run}"
    (tmp_path / "source").write_text(PRINT_MAIN)
    printed = run_program([sys.executable, "-c", program], folder=tmp_path)
    assert eval(printed)[0:2] == ("__main__", None)


def test_a_program_that_has_changed_its_folder(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 7")
    (tmp_path / "else").mkdir()
    (tmp_path / "script.py").write_text(
        f"import os; os.chdir('else'){HEAD}\nprint(ask('(__import__(\"beside\").value, __import__(\"os\").getcwd())'))"
    )
    printed = run_program([sys.executable, "script.py"], folder=tmp_path)
    assert eval(printed) == (7, str(tmp_path / "else"))


def test_a_folder_that_has_been_removed(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    program = f"import os; os.rmdir(os.getcwd()){HEAD}\nprint(ask('1'))"
    assert run_program([sys.executable, "-c", program], folder=tmp_path / "gone") == "1\n"


def test_what_the_standard_library_starts_from_a_worker_does_not_run_the_program_again(
    tmp_path: Path,
) -> None:
    source = """
        import multiprocessing, os
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            answer = pool.apply(os.getppid) == os.getpid()
    """
    (tmp_path / "script.py").write_text(f"{HEAD}\nprint('once', ask({textwrap.dedent(source)!r}))")
    assert run_program([sys.executable, "script.py"], folder=tmp_path) == "once True\n"


def test_a_program_whose_streams_are_closed(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        f"{HEAD}\nopen('out', 'w').write(repr(ask('[fd > 2 for fd in fds], __import__(\"sys\").stdin.read()')))"
    )
    command = 'exec "$0" script.py <&- >&- 2>&-'
    run_program(["sh", "-c", command, sys.executable], folder=tmp_path)
    assert eval((tmp_path / "out").read_text()) == ([True] * 4, "")


@pytest.mark.parametrize("supports", [True, False])
def test_a_frozen_program_executes_itself(tmp_path: Path, supports: bool) -> None:
    wrapper = tmp_path / "frozen"
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/script.py" "$@"\n')
    wrapper.chmod(0o755)
    support = "from raddle._internal.processes.bootstrap import freeze_support; freeze_support()" * supports
    ask = "print(ask('__import__(\"sys\").argv'))"
    (tmp_path / "script.py").write_text(
        f"{HEAD}\nsys.frozen = True; sys.executable = {str(wrapper)!r}; {support}\n{ask}"
    )
    if supports:
        assert run_program([wrapper, "x"]) == f"{[str(tmp_path / 'script.py'), 'x']}\n"
    else:
        done = subprocess.run([wrapper, "x"], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "must call freeze_support()" in done.stderr


# --------------------------------------------------------------------------------------- changed since the start


def test_the_interpreters_settings_of_the_moment_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import sys; answer = sys.getrecursionlimit(), sys.dont_write_bytecode, sys.pycache_prefix"
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "pycache_prefix", "/tmp/x")
    limit = sys.getrecursionlimit()
    with zygote() as z:
        z.expect("ready")
        try:
            sys.setrecursionlimit(limit + 5000)
            assert z.evaluate(source) == (limit + 5000, True, "/tmp/x")
        finally:
            sys.setrecursionlimit(limit)


def test_the_time_zone_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    with zygote() as z:
        z.expect("ready")
        monkeypatch.setenv("TZ", "XYZ-5")
        assert z.evaluate("__import__('time').timezone") == -5 * 3600
    monkeypatch.undo()
    time.tzset()


def test_what_a_preloaded_module_changed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "changing.py").write_text(
        "import os, sys; os.environ['SET'] = '1'; os.environ['RESET'] = 'module'\n"
        f"sys.path.append({str(tmp_path / 'x')!r})"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("RESET", "parent")
    source = "import os, sys; answer = os.environ.get('SET'), os.environ['RESET'], sys.path"
    with zygote(["changing"]) as z:
        z.expect("ready")
        *variables, path = z.evaluate(source)
        assert (variables, path[-1]) == (["1", "module"], str(tmp_path / "x"))
        # What the parent changes comes later, and wins.
        monkeypatch.setenv("RESET", "later")
        monkeypatch.syspath_prepend(tmp_path / "y")
        *variables, path = z.evaluate(source)
        assert (variables, path[0], path[-1]) == (["1", "later"], str(tmp_path / "y"), str(tmp_path / "x"))


# ------------------------------------------------------------------------------------------------------- of its own


def test_each_worker_draws_random_numbers_of_its_own() -> None:
    with zygote(["random"]) as z:
        z.expect("ready")
        numbers = {z.evaluate("__import__('random').random()") for _ in range(3)}
    assert len(numbers | {random.random()}) == 4


def test_numpys_random_numbers_too() -> None:
    pytest.importorskip("numpy")
    with zygote(["numpy.random"]) as z:
        z.expect("ready")
        assert len({z.evaluate("float(__import__('numpy').random.random())") for _ in range(3)}) == 3


def test_numpy_can_be_preloaded() -> None:
    """Its OpenBLAS starts threads when it is imported, which a fork ends."""
    pytest.importorskip("numpy")
    with zygote(["numpy"]) as z:
        assert z.expect("ready").number == 1
        assert (
            z.evaluate("import numpy; answer = int((numpy.ones((300, 300)) @ numpy.ones((300, 300)))[0, 0])")
            == 300
        )


def test_exit_functions_are_those_of_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    log.write_text("")
    (tmp_path / "leaving.py").write_text(
        textwrap.dedent(
            f"""
            import atexit, os, weakref
            class Resource: pass
            def leave(who):
                with open({str(log)!r}, "a") as file: file.write(who + chr(10))
            atexit.register(leave, "zygote")
            resource = Resource()
            weakref.finalize(resource, leave, "zygote")
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    with zygote(["leaving"]) as z:
        z.expect("ready")
        source = """
            import atexit, leaving, threading, time, weakref
            own = leaving.Resource()
            leaving.own = own
            weakref.finalize(own, leaving.leave, "finalizer")
            atexit.register(leaving.leave, "atexit")
            threading.Thread(target=lambda: (time.sleep(0.05), leaving.leave("thread"))).start()
            answer = 1
        """
        assert z.evaluate(source) == 1
    assert log.read_text().split() == ["thread", "atexit", "finalizer"]


@pytest.mark.parametrize("preload", [(), ("multiprocessing",), ("multiprocessing.util", "logging")])
def test_multiprocessing_knows_who_a_worker_is(preload: tuple[str, ...]) -> None:
    import multiprocessing

    source = """
        import multiprocessing as mp
        me, parent = mp.current_process(), mp.parent_process()
        answer = (
            me.name, me._identity, bytes(me.authkey),
            parent.name, parent.pid, parent.is_alive(), mp.active_children(),
        )
    """
    with zygote(preload) as z:
        z.expect("ready")
        z.evaluate("1")
        answer = z.evaluate(source)
    me = multiprocessing.current_process()
    assert answer == ("Worker", (2,), bytes(me.authkey), me.name, os.getpid(), True, [])


def test_a_key_that_the_parent_has_not_chosen_yet_is_the_workers_all_the_same() -> None:
    program = f"""{HEAD}
assert "multiprocessing.process" not in sys.modules, sorted(sys.modules)
answer = ask("import multiprocessing as mp; answer = bytes(mp.current_process().authkey)")
import multiprocessing
assert answer == bytes(multiprocessing.current_process().authkey)
assert multiprocessing.process.__spec__.loader is multiprocessing.process.__loader__
print(multiprocessing.process.__spec__.loader.__class__.__name__)
"""
    assert run_program([sys.executable, "-c", program]) == "SourceFileLoader\n"


@pytest.mark.parametrize("early", [True, False])
def test_shared_memory_of_the_parent_survives_a_worker(early: bool) -> None:
    program = f"""{HEAD}
def attach(memory):
    z.evaluate(
        "from multiprocessing.shared_memory import SharedMemory;"
        f"memory = SharedMemory({{memory.name!r}}); memory.buf[0] = 7; memory.close(); answer = 1"
    )
early = {early}
with zygote() as z:
    z.expect("ready")
    if early:
        from multiprocessing.shared_memory import SharedMemory
        memory = SharedMemory(create=True, size=100)
        attach(memory)
    else:
        from multiprocessing import resource_tracker
        from raddle._internal.processes import identity
        identity.tracker = lambda: None  # as if the worker had been made before the parent imported it
        from multiprocessing.shared_memory import SharedMemory
        memory = SharedMemory(create=True, size=100)
        attach(memory)
import time
time.sleep(0.3)  # for a tracker that should not be there to do its harm
again = SharedMemory(memory.name)
print(again.buf[0])
again.close()
memory.close()
memory.unlink()
"""
    assert run_program([sys.executable, "-c", program]) == "7\n"
