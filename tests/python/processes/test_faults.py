"""What goes wrong around a zygote is reported, costs one worker at most, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from raddle._internal.processes import environment, forked, identity, messages
from tests.python.processes.support import Zygote, has_ended, is_alive, spare_of, spawn, until, zygote

ROOT = Path(__file__).resolve().parents[3]
SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module named `special`, to be written by the test and preloaded."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "special.py"


@pytest.fixture
def no_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this process had no tracker of resources, of which each worker would get a descriptor."""
    monkeypatch.setattr(identity, "tracker", lambda: None)


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def refused(z: Zygote) -> str:
    """Ask for a worker that can't be had; return why."""
    for end in z.ask("answer = 1"):
        os.close(end)
    report = z.expect("refused")
    assert report.ticket == z.tickets
    return report.text


# ------------------------------------------------------------------------------------------------ preloaded modules


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import nonsense", "No module named 'nonsense'"),
        ("x = (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise ValueError('a' * 100_000 + '\\udcff')", "aaaa"),
    ],
)
def test_a_module_that_fails_is_reported_with_its_traceback(module: Path, source: str, told: str) -> None:
    module.write_text(source)
    with zygote(["special"]) as z:
        text = z.expect("failed").text
        assert text.startswith("Traceback")
        assert str(module) in text
        assert told in text
        assert z.receive() is None
        assert z.process.wait(10) == 1


@pytest.mark.parametrize("source", ["import os; os._exit(3)", "import os; os.kill(os.getpid(), 9)"])
def test_a_module_that_ends_the_process_ends_the_socket(module: Path, source: str) -> None:
    module.write_text(source)
    with zygote(["special"]) as z:
        assert z.receive() is None
        assert z.process.wait(10) in (3, -9)


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.fork()",  # the child comes back from the import
        "import os; pid = os.fork(); pid or os._exit(0)",  # and is not waited for
        "import subprocess; subprocess.run(['true'])",
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "import signal; signal.signal(signal.SIGCHLD, lambda *_: None); signal.set_wakeup_fd(-1)",
        "import os; os.chdir('/')",
        "import os; os.environ.clear()",
        "import gc; gc.disable()",
        "import sys; sys.stdout = sys.stderr = None",
        "import sys; del sys.modules['__main__']; sys.argv = []",
        "import atexit; atexit.register(lambda: 1 / 0)",
        "import threading; t = threading.Thread(target=int); t.start(); t.join()",
    ],
)
def test_a_module_with_side_effects_does_no_harm(module: Path, source: str) -> None:
    module.write_text(source)
    with zygote(["special"]) as z:
        assert z.expect("ready").number == 1
        assert z.evaluate("answer = 1") == 1
        assert z.close() == 0


def test_a_thread_that_ends_before_a_fork_is_no_hindrance(module: Path) -> None:
    """As with OpenBLAS, which does it by `pthread_atfork`."""
    module.write_text(
        textwrap.dedent(
            """
            import os, threading
            def start():
                global thread, end
                end = threading.Event()
                thread = threading.Thread(target=end.wait)
                thread.start()
            def stop():
                end.set()
                thread.join()
            start()
            os.register_at_fork(before=stop, after_in_child=start)
            """
        )
    )
    with zygote(["special"], flags=["-W", "error"]) as z:
        assert z.expect("ready").number == 1
        source = "import special, threading; answer = threading.active_count(); special.stop()"
        assert z.evaluate(source) == 2
        assert z.evaluate(source) == 2


def test_a_thread_that_starts_later_is_reported(module: Path) -> None:
    module.write_text(
        textwrap.dedent(
            """
            import os, threading
            def later():
                threading.Thread(target=threading.Event().wait, daemon=True).start()
            os.register_at_fork(after_in_parent=later)
            """
        )
    )
    with zygote(["special"]) as z:
        assert z.expect("ready").number == 1
        assert z.evaluate("answer = 1") == 1
        for end in z.ask("answer = 1"):
            os.close(end)
        assert z.expect("ready").number > 1
        assert "threads" in z.expect("refused").text


# ----------------------------------------------------------------------------------------------------------- limits


@pytest.mark.usefixtures("no_tracker")
def test_at_the_limit_of_open_files_a_worker_is_refused_and_nothing_leaks(module: Path) -> None:
    # The first descriptors are the three streams and the socket; five come with a worker; then /proc, and a pidfd.
    module.write_text(
        "import resource; _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (9, hard))"
    )
    with zygote(["special"]) as z:
        z.expect("ready")
        before = descriptors(z.process.pid)

        def limit(room: int) -> None:
            subprocess.run(["prlimit", f"--nofile={room}:", "--pid", str(z.process.pid)], check=True)

        for room in range(4, 10):
            limit(room)
            text = refused(z)
            assert "oo many open files" in text, (room, text)
            assert descriptors(z.process.pid) == before
        limit(10)
        assert z.evaluate("answer = 1") == 1


def test_when_no_process_can_be_made_a_worker_is_refused(module: Path) -> None:
    module.write_text(
        textwrap.dedent(
            """
            import os
            attempts = []
            def fork(real=os.fork):
                attempts.append(1)
                if len(attempts) < 3:
                    raise BlockingIOError(11, "Resource temporarily unavailable")
                return real()
            os.fork = fork
            """
        )
    )
    with zygote(["special"]) as z:
        z.expect("ready")
        before = descriptors(z.process.pid)
        assert "Resource temporarily unavailable" in refused(z)
        assert "Resource temporarily unavailable" in refused(z)
        assert descriptors(z.process.pid) == before
        assert z.evaluate("answer = 1") == 1


def test_a_worker_that_dies_at_once_is_reported_in_order() -> None:
    with zygote() as z:
        z.expect("ready")
        for _ in range(20):
            ends = z.ask("1 / 0", serve="no.such.module:serve")
            forked, ended = z.expect("forked"), z.expect("ended")
            assert (forked.pid, ended.number) == (ended.pid, 1 << 8)
            for fd in (*ends, *forked.fds):
                os.close(fd)
        assert z.evaluate("answer = 1") == 1


def test_many_requests_wait_in_a_full_socket() -> None:
    with zygote() as z:
        z.expect("ready")
        z.stop()
        z.socket.setblocking(False)
        ends = []
        try:
            while True:
                ends += z.ask("answer = 1" + " " * 8000)
        except BlockingIOError:
            pass
        z.socket.settimeout(20)
        asked = z.tickets - 1
        assert asked > 4
        z.go_on()
        reports = [z.receive() for _ in range(2 * asked)]
        kinds = [report.kind for report in reports if report]
        assert (kinds.count("forked"), kinds.count("ended")) == (asked, asked)
        tickets = [report.ticket for report in reports if report and report.kind == "forked"]
        assert tickets == list(range(1, asked + 1))
        for fd in [*ends, *(fd for report in reports if report for fd in report.fds)]:
            os.close(fd)


def test_signals_do_not_disturb_a_zygote() -> None:
    with zygote() as z:
        z.expect("ready")
        for number in (
            signal.SIGSTOP,
            signal.SIGCONT,
            signal.SIGINT,
            signal.SIGWINCH,
            signal.SIGCHLD,
            signal.SIGPIPE,
        ):
            z.process.send_signal(number)
        assert z.evaluate("answer = 1") == 1


def test_a_worker_can_be_unwanted() -> None:
    with zygote() as z:
        z.expect("ready")
        worker = z.fork(SLEEP)
        z.send(messages.KILL, pid=os.getpid())  # no worker: nothing happens
        z.send(messages.KILL, pid=worker.pid)
        ended = z.expect("ended")
        assert (ended.pid, ended.number) == (worker.pid, signal.SIGKILL)
        z.release(worker)


def test_a_worker_that_a_module_has_waited_for_costs_only_its_status(module: Path) -> None:
    module.write_text(
        textwrap.dedent(
            """
            import os
            def reap():
                try:
                    while os.waitpid(-1, os.WNOHANG)[0]:
                        pass
                except ChildProcessError:
                    pass
            os.register_at_fork(before=reap)
            """
        )
    )
    with zygote(["special"]) as z:
        z.expect("ready")
        worker = z.fork(SLEEP)
        spare = os.pidfd_open(spare_of(z, worker))
        z.stop()
        for pidfd in (worker.pidfd, spare):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            assert has_ended(pidfd)
        os.close(spare)
        ends = z.ask("answer = 1")
        # When it looks again it finds the request first, so it forks before it sees to the one that has ended.
        z.go_on()
        forked, ended = z.expect("forked"), z.expect("ended")
        assert (ended.pid, ended.number) == (worker.pid, 255 << 8)
        assert os.read(ends[0], 10) == b"1"
        z.release(worker)
        for fd in (*ends, *forked.fds):
            os.close(fd)


# ------------------------------------------------------------------------------------------------------ other starts


def test_a_worker_of_its_own_interpreter() -> None:
    source = "import os, sys, decimal; answer = (os.getppid(), os.getpgid(0) == os.getpid(), 'raddle' in sys.modules)"
    process, worker = spawn(source, ["decimal"])
    assert worker.read() == repr((os.getpid(), True, True)).encode()
    assert process.wait(10) == 0
    for fd in (worker.pidfd, *worker.ends):
        os.close(fd)


@pytest.mark.parametrize("inspect", ["", "1"])
def test_a_spawned_worker_that_cannot_import_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inspect: str
) -> None:
    monkeypatch.setenv("PYTHONINSPECT", inspect)
    with (tmp_path / "errors").open("wb") as errors:
        process, worker = spawn("answer = 1", ["no_such_module"], stderr=errors)
        assert process.wait(10) == 1
    assert "No module named 'no_such_module'" in (tmp_path / "errors").read_text()
    for fd in (worker.pidfd, *worker.ends):
        os.close(fd)


def test_a_spawned_worker_hangs_on_its_life_line() -> None:
    process, worker = spawn(f"import os; os.write(results, b'x'); {SLEEP}")
    assert os.read(worker.ends[0], 1) == b"x"
    os.close(worker.ends.pop())
    assert process.wait(10) == -signal.SIGKILL
    for fd in (worker.pidfd, *worker.ends):
        os.close(fd)


def test_a_fork_of_this_process() -> None:
    everything = ["only here"]
    source = f"""
        import gc, os
        answer = [found for found in gc.get_objects() if id(found) == {id(everything)}], os.getpgid(0) == os.getpid()
    """
    reading, writing = os.pipe()
    dying, living = os.pipe()
    order = environment.order(
        textwrap.dedent(source).encode(),
        name="Worker",
        index=1,
        serve="tests.python.processes.serving:evaluate",
    )
    pid = forked.fork(
        order.body, [writing, writing, writing, writing, dying, *order.fds], foreign=[living, reading]
    )
    os.close(writing)
    os.close(dying)
    assert os.read(reading, 1000) == repr(([everything], True)).encode()
    assert os.waitpid(pid, 0)[1] == 0
    os.close(reading)
    os.close(living)


# --------------------------------------------------------------------------------------------------- the parent's end

PARENT = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}]
from tests.python.processes.support import Zygote, spawn
import os, time
z = Zygote([])
z.expect("ready")
source = '''
import subprocess, os, time
os.write(results, b'%d ' % subprocess.Popen(['sleep', '600']).pid)
time.sleep(600)
'''
workers = [z.fork(source) for _ in range(3)] + [spawn(source)[1]]
children = [int(os.read(worker.ends[0], 20)) for worker in workers]
print(z.process.pid, *[worker.pid for worker in workers], *children, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("stopped", [False, True])
def test_nothing_is_left_100_ms_after_the_parent_was_killed(stopped: bool) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 9
    assert all(map(is_alive, pids))
    if stopped:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    parent.kill()
    killed = time.monotonic()
    parent.wait()
    until(lambda: not any(map(is_alive, pids)))
    assert time.monotonic() - killed < 1  # usually 10 ms; the machine may be busy
    parent.stdout.close()


def test_a_zygote_whose_parent_is_gone_before_it_looks_does_not_start() -> None:
    # As if by another parent, which this process is not.
    with zygote(parent=os.getpid() + 1) as z:
        assert z.receive() is None
        assert z.process.wait(10) == 0


def test_a_worker_whose_life_line_is_cut_before_it_looks_ends() -> None:
    with zygote() as z:
        z.expect("ready")
        z.stop()
        for end in z.ask(SLEEP):
            os.close(end)
        z.go_on()
        report = z.expect("forked")
        assert has_ended(report.fds[0])
        assert z.expect("ended").number in (1 << 8, signal.SIGKILL)
        os.close(report.fds[0])
