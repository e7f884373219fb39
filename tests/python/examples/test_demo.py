"""The demo holds what its table claims: equal results, readable input alone, a clean end on Ctrl-C.

It runs as users run it, in a process of its own, on a small folder of generated files.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from examples.demo.jobs import analyse, compress, receive
from examples.demo.measure import digest

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "examples" / "demo"
FILES = 150  # in `folder`
LIMIT = 100.0  # seconds; far above what any of these runs takes

WAYS = {
    "compress": ["serial", "stdlib threads", "Raddle threads"],
    "analyse": ["serial", "stdlib threads", "Raddle threads", "stdlib processes", "Raddle processes"],
    "arrays": ["serial", "stdlib processes", "joblib", "Raddle processes"],
    "fetch": ["serial", "stdlib threads", "Raddle threads", "stdlib asyncio"],
    "pipeline": ["serial", "stdlib threads", "Raddle threads"],
}
TITLES = {
    "compress": "Hash and compress",
    "analyse": "Parse and measure complexity",
    "arrays": "Sharpen spectrograms",
    "fetch": "Fetch over HTTP",
    "pipeline": "Pipeline of the three",
}

if find_spec("numpy") is None:
    del WAYS["arrays"], TITLES["arrays"]


def demo(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end."""
    return python(DEMO, *arguments)


def python(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run this interpreter to its end, in the project's root."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)


# ------------------------------------------------------------------------------------------------------- results


@pytest.mark.slow
def test_every_way_of_every_job_is_run_and_agrees(full_run: dict[str, Any]) -> None:
    jobs = {job["key"]: job for job in full_run["jobs"]}
    assert {key: [way["name"] for way in job["ways"]] for key, job in jobs.items()} == WAYS
    assert full_run["agree"] is True
    for job in jobs.values():
        complete = [way for way in job["ways"] if way["measured_files"] == job["files"]]
        assert len({way["digest"] for way in complete}) == 1
        assert [way["problem"] for way in job["ways"]] == [None] * len(job["ways"])


@pytest.mark.slow
def test_serial_fetching_is_a_sample_and_says_so(full_run: dict[str, Any]) -> None:
    extrapolated = {
        (job["key"], way["name"]) for job in full_run["jobs"] for way in job["ways"] if way["extrapolated"]
    }
    assert extrapolated == {("fetch", "serial"), ("pipeline", "serial")}
    (serial,) = (job["ways"][0] for job in full_run["jobs"] if job["key"] == "fetch")
    assert serial["measured_files"] < FILES
    assert serial["seconds"] == pytest.approx(serial["measured_seconds"] * FILES / serial["measured_files"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "work"),
    [("compress", compress), ("analyse", analyse), ("fetch", receive)],
    ids=["compress", "analyse", "fetch"],
)
def test_digests_are_those_of_the_files(
    key: str, work: Callable[[bytes], Any], full_run: dict[str, Any], folder: Path
) -> None:
    expected = digest(
        {file.relative_to(folder).as_posix(): work(file.read_bytes()) for file in folder.rglob("*.py")}
    )
    (job,) = (job for job in full_run["jobs"] if job["key"] == key)
    assert job["ways"][-1]["digest"] == expected


@pytest.mark.slow
def test_json_has_its_documented_shape(full_run: dict[str, Any], folder: Path) -> None:
    run = full_run
    assert (run["schema"], run["path"], run["files"], run["workers"]) == (1, str(folder), FILES, 2)
    assert run["bytes"] == sum(file.stat().st_size for file in folder.rglob("*.py"))
    assert run["skipped"] == []
    assert set(run) == {
        *("schema", "raddle", "python", "gil", "cpus", "workers", "path", "files", "bytes", "skipped"),
        *("seconds", "agree", "jobs"),
    }
    for job in run["jobs"]:
        assert set(job) == {"key", "title", "files", "ways"}
        serial = job["ways"][0]
        for way in job["ways"]:
            assert set(way) == {
                *("name", "family", "workers", "seconds", "extrapolated", "measured_files"),
                *("measured_seconds", "speedup", "digest", "problem"),
            }
            assert way["speedup"] == pytest.approx(serial["seconds"] / way["seconds"])
            assert len(bytes.fromhex(way["digest"])) == hashlib.sha256().digest_size


def test_table_shows_each_way_with_its_digest(folder: Path) -> None:
    done = demo("--path", folder, "--job", "compress")
    assert done.returncode == 0
    table = [line for line in done.stdout.splitlines() if any(way in line for way in WAYS["compress"])]
    assert len(table) == 3
    assert len({line.split()[-1] for line in table}) == 1
    assert "All ways agree." in done.stdout


SPOILED = """
import sys
from examples.demo import cli, ways

honest = ways.raddle_threads

def spoiled(work, files, tick, workers):
    results = honest(work, files, tick, workers)
    {spoil}
    return results

ways.raddle_threads = spoiled
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        ("results[files[0].name] = results[files[1].name]", "other results for 1 of 150 files"),
        ("del results[files[0].name]", "1 of 150 files lost or invented"),
        ("raise ConnectionError('gone')", "ConnectionError: gone"),
    ],
    ids=["wrong", "lost", "failed"],
)
def test_a_way_that_differs_fails_the_demo_by_name(spoil: str, complaint: str, folder: Path) -> None:
    done = python("-c", SPOILED.format(spoil=spoil), "--path", folder, "--job", "compress")
    assert done.returncode == 1
    assert f"demo: Hash and compress, Raddle threads: {complaint}" in done.stderr
    assert "Traceback" not in done.stderr


# --------------------------------------------------------------------------------------------------------- input


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--path", "missing"], "missing: no such folder"),
        (["--path", "file.py"], "file.py: not a folder"),
        (["--path", "empty"], "empty: no Python files"),
        (["--path", "unreadable"], "no Python files (1 unreadable, the first: No such file or directory)"),
        (["--workers", "0"], "0 is not a positive number"),
        (["--workers", "two"], "invalid"),
        (["--report", "missing/report.html"], "no such folder"),
        (["--report", "empty"], "is a folder"),
    ],
    ids=[
        "missing",
        "file",
        "empty",
        "unreadable",
        "no workers",
        "no number",
        "report nowhere",
        "report folder",
    ],
)
def test_bad_arguments_end_with_one_line(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.py").touch()
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable" / "dangling.py").symlink_to("nowhere")
    option, value = arguments
    done = demo(option, value if option == "--workers" else tmp_path / value)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_unreadable_files_are_skipped_and_named(tmp_path: Path) -> None:
    (tmp_path / "fine.py").write_text("x = 1\n")
    (tmp_path / "dangling.py").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.py")  # opening it would wait for a writer
    locked = tmp_path / "locked.py"
    locked.touch(mode=0)
    done = demo("--path", tmp_path, "--job", "compress", "--json")
    assert done.returncode == 0, done.stderr
    skipped = {entry["file"]: entry["reason"] for entry in json.loads(done.stdout)["skipped"]}
    expected = {"dangling.py": "No such file or directory", "pipe.py": "not a regular file"}
    if not os.access(locked, os.R_OK):  # root may read everything
        expected["locked.py"] = "Permission denied"
    assert skipped == expected
    assert all(f"demo: skipped {name}: {reason}" in done.stderr for name, reason in expected.items())


@pytest.mark.slow
def test_files_that_are_no_python_are_counted_and_nothing_breaks(tmp_path: Path) -> None:
    contents = {
        "fine.py": b"def f():\n    pass\n",
        "empty.py": b"",
        "latin1.py": "x = 'no declared encoding: ä'\n".encode("latin-1"),
        "syntax.py": b"def f(:\n",
        "null.py": b"x = 1\0\n",
        "deep.py": b"(" * 10_000 + b")" * 10_000,
        "warns.py": b'x = "\\d"\nassert (1, "always true")\n',
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / os.fsdecode(b"name \xff?#%.py")).write_bytes(b"def g():\n    pass\n")
    done = demo("--path", tmp_path, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "4 files are no valid Python." in done.stdout
    assert "2 functions" in done.stdout
    assert "highest is 1, of g (name \\udcff?#%.py:1)" in done.stdout
    assert "Warning" not in done.stderr


WITHOUT = """
import runpy, sys

sys.modules["{package}"] = None
sys.argv[0] = {demo!r}
runpy.run_path({demo!r}, run_name="__main__")
"""


def test_a_job_whose_package_is_missing_is_left_out_and_named(folder: Path) -> None:
    code = WITHOUT.format(package="numpy", demo=str(DEMO))
    done = python("-c", code, "--path", folder, "--job", "arrays", "--job", "compress")
    assert done.returncode == 0, done.stderr
    assert "demo: left out arrays: numpy is not installed" in done.stderr
    assert "Sharpen" not in done.stdout


@pytest.mark.slow
def test_a_way_whose_package_is_missing_is_left_out(folder: Path) -> None:
    pytest.importorskip("numpy")
    code = WITHOUT.format(package="joblib", demo=str(DEMO))
    done = python("-c", code, "--path", folder, "--job", "arrays")
    assert done.returncode == 0, done.stderr
    assert "joblib" not in done.stdout
    assert "Raddle processes" in done.stdout


# -------------------------------------------------------------------------------------------------------- Ctrl-C


HELD = """
import runpy, sys, time
from pathlib import Path

job, way, demo = sys.argv[1:4]
sys.argv[:4] = [demo]
sys.path.insert(0, str(Path(demo).parent))

from demo import interrupt, progress

def hold(cls):
    start, advance = cls.start, cls.advance

    def watched(self, job_of_this, way_of_this, files):
        self.held = (job_of_this, way_of_this) == (job, way)
        start(self, job_of_this, way_of_this, files)

    def held(self):
        while self.held and not interrupt.interrupted():
            time.sleep(0.001)
        advance(self)

    cls.start, cls.advance = watched, held

hold(progress._Lines)
hold(progress._Bars)
runpy.run_path(demo, run_name="__main__")
"""


def held(key: str, way: str) -> list[str]:
    """Return the command of a demo in which `way` of the job `key` comes no further than its first file until Ctrl-C.

    On a busy machine it would else be done, and the whole demo with it, before the signal is sent.
    """
    return [sys.executable, "-c", HELD, TITLES[key], way, str(DEMO)]


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start demos that hold a way of a job, in sessions of their own; return each once that way has begun.

    SIGINT reaches them even where the test run ignores it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    processes: list[subprocess.Popen[str]] = []

    def start(key: str, way: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*held(key, way), *map(str, arguments), "--job", key],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        wait_for(process, f"{TITLES[key]}, {way}: ")
        return process

    yield start
    signal.signal(signal.SIGINT, before)
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(process: subprocess.Popen[str], beginning: str) -> None:
    """Read the demo's progress up to the line that starts so."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(beginning):
            return
    pytest.fail(f"ended before {beginning!r}")


def assert_clean_end(process: subprocess.Popen[str]) -> None:
    """One line, exit code 130, and nobody left: the pipes end only when the last child that has them is gone."""
    stdout, stderr = process.communicate(timeout=LIMIT)
    assert (process.returncode, stdout) == (130, "")
    lines = stderr.splitlines()
    assert lines[-1] == "Interrupted."
    assert all(line.startswith(tuple(TITLES.values())) for line in lines[:-1]), stderr
    # A process closes its pipes a moment before it is gone.
    deadline = time.monotonic() + LIMIT
    while members := members_of_session(process.pid):
        assert time.monotonic() < deadline, members
        time.sleep(0.01)


def members_of_session(session: int) -> list[str]:
    """Return the command names of the live processes of a session."""
    members = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, fields = entry.read_text().partition(" (")[2].rpartition(") ")
        except OSError:
            continue
        state, _parent, _group, its_session = fields.split()[:4]
        if int(its_session) == session and state != "Z":
            members.append(name)
    return members


@pytest.mark.slow
@pytest.mark.parametrize(("key", "way"), [(key, way) for key, ways in WAYS.items() for way in ways])
def test_ctrl_c_ends_every_way_cleanly(
    key: str, way: str, folder: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    process = started(key, way, "--path", folder)
    os.killpg(process.pid, signal.SIGINT)
    assert_clean_end(process)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "way"),
    [("analyse", "stdlib processes"), ("analyse", "Raddle processes"), ("fetch", "Raddle threads")],
)
def test_a_signal_to_the_main_process_alone_takes_the_rest_along(
    key: str, way: str, folder: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    process = started(key, way, "--path", folder)
    process.send_signal(signal.SIGINT)
    assert_clean_end(process)


@pytest.mark.slow
def test_impatience_does_not_cut_through_the_cleaning_up(
    folder: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    process = started("pipeline", "stdlib threads", "--path", folder)
    for _ in range(50):
        os.killpg(process.pid, signal.SIGINT)
    assert_clean_end(process)


INTERRUPTED_IN_DEL = """
import signal
from examples.demo.interrupt import interrupt_once

class Interrupted:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
check = interrupt_once()
check()
Interrupted()
try:
    check()
except KeyboardInterrupt:
    print("came back")
"""


def test_an_interrupt_that_python_drops_comes_back() -> None:
    done = python("-c", INTERRUPTED_IN_DEL)
    assert (done.stdout, done.stderr) == ("came back\n", "")


INTERRUPTED_INSIDE = """
import signal
from examples.demo.interrupt import check_interrupt, interrupt_at_checks, interrupt_once

signal.signal(signal.SIGINT, signal.default_int_handler)
interrupt_once()
try:
    with interrupt_at_checks():
        signal.raise_signal(signal.SIGINT)
        print("held back")
        {inside}
        print("to the end")
except KeyboardInterrupt:
    print("raised")
"""


@pytest.mark.parametrize(
    ("inside", "printed"),
    [("pass", ["held back", "to the end", "raised"]), ("check_interrupt()", ["held back", "raised"])],
    ids=["end", "check"],
)
def test_an_interrupt_waits_while_locks_of_the_stdlib_are_about(inside: str, printed: list[str]) -> None:
    done = python("-c", INTERRUPTED_INSIDE.format(inside=inside))
    assert (done.stdout.splitlines(), done.stderr) == (printed, "")


WORKERS_MASK = """
import signal, sys
from examples.demo import ways
from examples.demo.corpus import Source

def blocked(file):
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())

if __name__ == "__main__":
    files = [Source("", str(number), 0) for number in range(20)]
    assert set(ways.stdlib_processes(blocked, files, int, 2).values()) == {True}
    assert not blocked(None)
"""


def test_worker_processes_never_see_the_signal_of_the_terminal(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{WORKERS_MASK}")
    done = python(script)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_server_does_not_outlive_a_killed_demo(
    folder: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    process = started("fetch", "serial", "--path", folder)
    process.kill()
    # The server has the demo's standard error: that ends when the server does.
    process.communicate(timeout=LIMIT)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_ctrl_c_ends_live_bars_cleanly(folder: Path) -> None:
    pytest.importorskip("rich")
    terminal, its_end = os.openpty()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [*held("fetch", "serial"), "--path", str(folder), "--job", "fetch"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=its_end,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
        )
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(its_end)
    shown = b""
    while chunk := _read_terminal(terminal):
        if b"Fetch over HTTP" in chunk and b"Fetch over HTTP" not in shown:
            os.killpg(process.pid, signal.SIGINT)
        shown += chunk
    os.close(terminal)
    assert process.wait(LIMIT) == 130
    assert shown.rstrip().endswith(b"Interrupted.")
    assert b"Traceback" not in shown
    assert b"\x1b[?25h" in shown  # the cursor is back


def _read_terminal(terminal: int) -> bytes:
    """Return what was written to a terminal, or nothing once everyone who had it is gone."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
