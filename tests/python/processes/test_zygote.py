"""The zygote: what it reports, what its workers are like, who dies with whom."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from raddle._internal.processes import environment, identity
from tests.python.processes.support import has_ended, is_alive, spare_of, until, zygote

SLEEP = "import time; time.sleep(600)"


def test_a_worker_serves_and_its_end_is_reported() -> None:
    with zygote() as z:
        assert z.expect("ready").number == 1
        assert z.evaluate("1 + 1") == 2
        assert z.evaluate("2 + 2") == 4
        assert z.close() == 0


def test_how_a_worker_ended_is_told() -> None:
    with zygote() as z:
        z.expect("ready")
        for source, status in [
            ("import os; os._exit(3)", 3 << 8),
            ("raise SystemExit(4)", 4 << 8),
            ("raise SystemExit", 0),
            ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", signal.SIGKILL),
        ]:
            worker = z.fork(source)
            ended = z.expect("ended")
            assert (ended.pid, ended.number & ~0x80) == (worker.pid, status)
            assert has_ended(worker.pidfd)
            z.release(worker)


def test_workers_have_the_environment_of_the_moment_of_the_fork(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RADDLE_EARLY", "1")
    with zygote() as z:
        z.expect("ready")
        monkeypatch.delenv("RADDLE_EARLY")
        monkeypatch.setenv("RADDLE_LATE", "\udcff" * 50_000)  # too long for a packet, and no UTF-8
        monkeypatch.setattr(sys, "argv", ["here", "x"])
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "written_later.py").write_text("value = 7")
        names = (
            "(os.environ.get('RADDLE_EARLY'), len(os.environ['RADDLE_LATE']), os.getcwd(), sys.argv, value)"
        )
        answer = z.evaluate(f"import os, sys; from written_later import value; answer = {names}")
        assert answer == (None, 50_000, str(tmp_path), ["here", "x"], 7)


def test_a_worker_inherits_no_other_descriptors() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    with zygote(close_fds=False) as z:
        z.expect("ready")
        other = z.fork(SLEEP)
        source = """
            import os
            found = {int(name) for name in os.listdir("/proc/self/fd")}
            open = {fd for fd in found if os.path.lexists(f"/proc/self/fd/{fd}")}
            answer = len(open - {0, 1, 2, *fds}), os.get_inheritable(fds[0])
        """
        # The life line, and where this process has a tracker of resources, the way to that.
        assert z.evaluate(source) == (1 if identity.tracker() is None else 2, False)
        os.close(writing)
        assert os.read(reading, 1) == b""
        os.close(reading)
        z.release(other)


def test_a_worker_ignores_ctrl_c_and_leads_a_group() -> None:
    source = """
        import os, signal
        answer = (
            os.kill(os.getpid(), signal.SIGINT) is None,
            signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
            signal.pthread_sigmask(signal.SIG_BLOCK, ()),
            os.getpgid(0) == os.getpid(),
        )
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    terminated = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with zygote() as z:
            z.expect("ready")
            assert z.evaluate(source.replace("signal.pthread_sigmask", "not signal.pthread_sigmask")) == (
                True,
                True,
                True,
                True,
            )
    finally:
        signal.signal(signal.SIGTERM, terminated)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def test_a_worker_has_a_main_module_of_its_own() -> None:
    source = """
        import sys, __main__
        file = getattr(__main__, "__file__", None)
        answer = (sorted(vars(__main__)), __main__.__name__, file, __main__.__spec__.name)
    """
    with zygote() as z:
        z.expect("ready")
        names, name, file, spec = z.evaluate(source)
    assert not [name for name in names if not name.startswith("__")]
    assert (name, spec) == ("__main__", "__main__")
    own = getattr(sys.modules["__main__"], "__file__", None)
    assert file == (own and os.path.abspath(own))


def test_a_module_that_cannot_be_imported_is_named() -> None:
    with zygote(["does_not_exist"]) as z:
        failed = z.expect("failed")
        assert "No module named 'does_not_exist'" in failed.text
        assert "Traceback" in failed.text
        assert z.receive() is None
        assert z.process.wait(10) == 1


def test_preloaded_modules_are_there() -> None:
    with zygote(["decimal"]) as z:
        z.expect("ready")
        assert z.evaluate("'decimal' in __import__('sys').modules") is True


def test_what_a_preloaded_module_prints_is_printed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loud.py").write_text("print('loud')")
    monkeypatch.syspath_prepend(tmp_path)
    output = tmp_path / "output"
    with output.open("wb") as file, zygote(["loud"], stdout=file) as z:
        z.expect("ready")
        assert z.evaluate("1") == z.evaluate("1") == 1
        assert output.read_text() == "loud\n"


def test_a_zygote_with_threads_says_so_and_forks_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with zygote(["threaded"]) as z:
        assert z.expect("ready").number == 2
        for end in z.ask("1"):
            os.close(end)
        refused = z.expect("refused")
        assert "2 threads" in refused.text


def test_a_spare_becomes_the_next_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with zygote() as z:
        z.expect("ready")
        worker = z.fork(SLEEP)
        spare = spare_of(z, worker)
        monkeypatch.setenv("RADDLE_LATE", "1")
        monkeypatch.chdir(tmp_path)
        source = """
            import os
            found = {int(name) for name in os.listdir("/proc/self/fd")}
            open = {fd for fd in found if os.path.lexists(f"/proc/self/fd/{fd}")}
            surroundings = os.environ.get("RADDLE_LATE"), os.getcwd(), os.getpgid(0) == os.getpid()
            answer = os.getpid(), len(open - {0, 1, 2, *fds}), *surroundings
        """
        own = 1 if identity.tracker() is None else 2
        assert z.evaluate(source) == (spare, own, "1", str(tmp_path), True)
        z.release(worker)


def test_a_spare_that_has_been_killed_is_not_missed() -> None:
    with zygote() as z:
        z.expect("ready")
        worker = z.fork(SLEEP)
        spare = spare_of(z, worker)
        os.kill(spare, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{spare}").exists())
        assert z.evaluate("1 + 1") == 2
        z.release(worker)


def test_an_order_that_is_too_long_for_a_spare_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    with zygote() as z:
        z.expect("ready")
        worker = z.fork(SLEEP)
        spare = spare_of(z, worker)
        monkeypatch.setenv("RADDLE_LONG", "x" * 100_000)
        assert z.evaluate("import os; answer = len(os.environ['RADDLE_LONG']), os.getpid()") != (
            100_000,
            spare,
        )
        monkeypatch.delenv("RADDLE_LONG")
        assert z.evaluate("__import__('os').getpid()") == spare
        z.release(worker)


def test_the_end_of_the_socket_ends_the_zygote_and_its_workers() -> None:
    with zygote() as z:
        z.expect("ready")
        worker = z.fork(f"import subprocess; subprocess.Popen(['sleep', '600']); {SLEEP}")
        spare = os.pidfd_open(spare_of(z, worker))
        assert z.close() == 0
        assert has_ended(worker.pidfd)
        assert has_ended(spare)
        os.close(spare)
        z.release(worker)


def test_workers_die_with_a_killed_zygote() -> None:
    with zygote() as z:
        z.expect("ready")
        workers = [z.fork(SLEEP) for _ in range(3)]
        z.process.kill()
        assert all(has_ended(worker.pidfd) for worker in workers)
        assert z.receive() is None
        for worker in workers:
            z.release(worker)


def test_the_life_line_takes_the_whole_group(tmp_path: Path) -> None:
    with zygote() as z:
        z.expect("ready")
        source = "import os, subprocess; pid = subprocess.Popen(['sleep', '600']).pid; os.write(results, b'%d ' % pid);"
        worker = z.fork(source + SLEEP)
        child = int(os.read(worker.ends[0], 20))
        assert is_alive(child)
        os.close(worker.ends.pop())
        assert z.expect("ended").number == signal.SIGKILL
        until(lambda: not is_alive(child))
        z.release(worker)


@pytest.mark.parametrize("name", ["__main__", "not a name", "a..b", ""])
def test_names_that_no_module_can_have_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="preload can't import"):
        environment.specification([name])
    with pytest.raises(TypeError):
        environment.specification([3])  # type: ignore[list-item]


def test_one_zygote_will_do_where_workers_follow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def keys() -> list[tuple[object, ...]]:
        return [environment.specification().key, environment.specification(["decimal"]).key]

    before = keys()
    assert before == keys()
    assert before[0] != before[1]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYTHING", "1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["x"])
    assert keys()[0] == before[0]
    # What a module does when it is imported may depend on these.
    assert keys()[1] != before[1]
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    assert keys()[0] != before[0]


def test_a_zygote_has_imported_what_its_workers_run() -> None:
    with zygote(spec=environment.specification()) as z:
        z.expect("ready")
        modules = z.evaluate("list(__import__('sys').modules)")
    assert {"raddle._internal.processes.serving", "raddle._internal.serialization"} <= set(modules)
    assert not {"asyncio", "multiprocessing", "raddle.futures"} & set(modules)
