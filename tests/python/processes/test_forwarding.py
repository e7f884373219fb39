"""What a worker says reaches the parent: warnings, log records, text."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import pytest

from raddle.futures import ProcessPoolExecutor

STARTS = pytest.mark.parametrize("start", ["zygote", "spawn", "fork"])


def say(text: str, error: str = "") -> None:
    print(text)
    print(error, file=sys.stderr)


@STARTS
def test_text_goes_to_the_parents_streams_before_the_result(
    start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProcessPoolExecutor(2, start=start) as pool:
        for number in range(20):
            pool.submit(say, f"out {number}", f"error {number}").result()
            assert capsys.readouterr() == (f"out {number}\n", f"error {number}\n")


def say_much(name: str) -> None:
    for number in range(500):
        sys.stdout.write(f"{name} ")
        sys.stdout.write(f"{number}")
        sys.stdout.write(" end\n")


def test_lines_of_several_workers_do_not_mix() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as text, ProcessPoolExecutor(3) as pool:
        for future in [pool.submit(say_much, name) for name in "abcdef"]:
            future.result()
    lines = text.getvalue().splitlines()
    assert sorted(lines) == sorted(f"{name} {number} end" for name in "abcdef" for number in range(500))


def say_and_die(text: str) -> None:
    print(text)
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_last_lines_of_a_worker_that_is_killed_arrive(capsys: pytest.CaptureFixture[str]) -> None:
    with ProcessPoolExecutor(1) as pool:
        for number in range(5):
            assert pool.submit(say_and_die, f"last words {number}").exception() is not None
            assert capsys.readouterr().out == f"last words {number}\n"


def say_without_an_end() -> None:
    print("no newline", end="")


def test_what_is_no_line_arrives_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with ProcessPoolExecutor(1) as pool:
        pool.submit(say_without_an_end).result()
    assert capsys.readouterr().out == "no newline"


def write_bytes() -> tuple[int, bool]:
    sys.stdout.buffer.write(b"bytes \xff\n")
    print("\N{SNOWMAN} \udcff", flush=True)
    return sys.stdout.fileno(), sys.stdout.isatty()


def test_streams_are_streams(capsys: pytest.CaptureFixture[str]) -> None:
    with ProcessPoolExecutor(1) as pool:
        assert pool.submit(write_bytes).result() == (1, False)
    assert capsys.readouterr().out == "bytes \\xff\n\N{SNOWMAN} \\udcff\n"


def say_a_million_bytes() -> None:
    print("x" * 1_000_000)


def test_much_text_waits_for_a_parent_that_is_busy(capsys: pytest.CaptureFixture[str]) -> None:
    with ProcessPoolExecutor(2) as pool:
        futures = [pool.submit(say_a_million_bytes) for _ in range(4)]
        sys.setswitchinterval(0.2)
        try:
            deadline = time.monotonic() + 0.5
            while time.monotonic() < deadline:
                pass  # holds the interpreter
        finally:
            sys.setswitchinterval(0.005)
        for future in futures:
            future.result(30)
    assert capsys.readouterr().out.count("x") == 4_000_000


PLAIN = """
import os, sys
from raddle.futures import ProcessPoolExecutor

def say(name):
    for number in range(200):
        print(name, number, "end")

def fork_and_say():
    if os.fork() == 0:
        print("from a child of a worker", flush=True)
        os._exit(0)
    os.wait()

with ProcessPoolExecutor(3, start=sys.argv[1]) as pool:
    for future in [pool.submit(say, name) for name in "abcdef"]:
        future.result()
    pool.submit(fork_and_say).result()
"""


@STARTS
def test_workers_write_whole_lines_to_a_plain_output(tmp_path: Path, start: str) -> None:
    script = tmp_path / "plain.py"
    script.write_text(textwrap.dedent(PLAIN))
    ran = subprocess.run(
        [sys.executable, script, start], capture_output=True, text=True, timeout=60, check=True
    )
    lines = ran.stdout.splitlines()
    expected = [f"{name} {number} end" for name in "abcdef" for number in range(200)]
    assert sorted(lines) == sorted([*expected, "from a child of a worker"])


def warn(category: type[Warning] = UserWarning, text: str = "careful") -> None:
    warnings.warn(text, category, stacklevel=1)


class OwnWarning(UserWarning):
    pass


@STARTS
def test_a_warning_is_shown_once_for_all_workers(start: str) -> None:
    with warnings.catch_warnings(record=True) as caught, ProcessPoolExecutor(3, start=start) as pool:
        warnings.simplefilter("default")
        for future in [pool.submit(warn, OwnWarning, "careful") for _ in range(30)]:
            future.result()
    (warning,) = caught
    assert (warning.category, str(warning.message), warning.filename) == (OwnWarning, "careful", __file__)


def test_the_parents_filters_decide() -> None:
    with warnings.catch_warnings(record=True) as caught, ProcessPoolExecutor(1) as pool:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "not this", UserWarning)
        warnings.filterwarnings("error", "this raises", UserWarning)
        for text in ("careful", "not this", "careful"):
            pool.submit(warn, UserWarning, text).result()
        assert isinstance(pool.submit(warn, UserWarning, "this raises").exception(), UserWarning)
    assert [str(warning.message) for warning in caught] == ["careful", "careful"]


def catch_own() -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn()
    return [str(warning.message) for warning in caught]


def test_a_task_can_catch_its_own_warnings() -> None:
    with warnings.catch_warnings(record=True) as caught, ProcessPoolExecutor(1) as pool:
        warnings.simplefilter("always")
        assert pool.submit(catch_own).result() == ["careful"]
    assert caught == []


def log(name: str, level: int, text: str) -> bool:
    logger = logging.getLogger(name)
    try:
        raise LookupError("the cause")
    except LookupError:
        logger.log(level, "%s!", text, exc_info=True, extra={"lock": threading.Lock(), "number": 7})
    return logger.isEnabledFor(level)


@STARTS
def test_log_records_reach_the_parents_loggers(start: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "weaving.warp")
    with ProcessPoolExecutor(1, start=start) as pool:
        assert pool.submit(log, "weaving.warp.thread", logging.INFO, "torn").result()
        assert not pool.submit(log, "weaving.weft", logging.DEBUG, "unheard").result()
    (record,) = (record for record in caplog.records if record.name.startswith("weaving"))
    assert (record.getMessage(), record.levelno, record.number) == ("torn!", logging.INFO, 7)
    assert record.processName == "ProcessPoolExecutor" + record.processName[len("ProcessPoolExecutor") :]
    assert "LookupError: the cause" in str(record.exc_text)


def handlers() -> int:
    return len(logging.getLogger().handlers)


def test_forwarding_of_logs_can_be_left_out() -> None:
    with ProcessPoolExecutor(1, forward_logging=False) as pool:
        assert pool.submit(handlers).result() == 0


def test_notes_do_not_wait_for_somebody_who_asks() -> None:
    seen = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.set()

    logger = logging.getLogger("weaving.loom")
    handler = Handler()
    logger.addHandler(handler)
    try:
        with ProcessPoolExecutor(1) as pool:
            future = pool.submit(log_and_sleep, "weaving.loom")
            assert seen.wait(10)
            assert not future.done()
            future.terminate()
    finally:
        logger.removeHandler(handler)


def log_and_sleep(name: str) -> None:
    logging.getLogger(name).warning("asleep")
    time.sleep(60)
