"""`raddle doctor` tells the truth about the surroundings, and of what will bite."""

from __future__ import annotations

import json
import os
import platform
import resource
import signal

import pytest

import raddle as package
from raddle._internal import diagnosis
from raddle.cli.main import main

from .support import raddle


def test_json_has_the_facts() -> None:
    done = raddle("doctor", "--json")
    facts = json.loads(done.stdout)
    assert facts["versions"]["python"] == platform.python_version()
    assert facts["versions"]["raddle"] == package.__version__
    assert facts["machine"]["affinity"] == len(os.sched_getaffinity(0))
    assert facts["limits"]["open_files"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert facts["kernel"] == {"memfd": True, "pidfd": True}
    assert done.returncode == (1 if facts["warnings"] else 0)


def test_text_has_each_group_and_no_colours() -> None:
    done = raddle("doctor")
    for line in ("versions", "interpreter", "machine", "limits", "packages"):
        assert line in done.stdout.splitlines()
    assert "\x1b" not in done.stdout


def test_few_open_files_are_warned_of() -> None:
    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    done = raddle("doctor", preexec_fn=lower)
    assert done.returncode == 1
    assert "warning: only 256 files may be open" in done.stdout
    assert "ulimit -n" in done.stdout


def test_an_ignored_child_signal_is_warned_of() -> None:
    done = raddle("doctor", preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert done.returncode == 1
    assert "SIGCHLD is ignored" in done.stdout


@pytest.mark.parametrize(
    ("patched", "value", "told"),
    [
        ("usable_cores", 1.5, "this process may use 1.5"),
        ("_room", 64 << 20, "/dev/shm has room for 64 MB"),
        ("_has_memfd", False, "refuses memfd"),
        ("_has_pidfd", False, "refuses pidfd"),
    ],
)
def test_what_bites_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    patched: str,
    value: object,
    told: str,
) -> None:
    monkeypatch.setattr(diagnosis, patched, lambda *_: value)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert main(["doctor"]) == 1
    assert told in capsys.readouterr().out


def test_a_machine_without_faults_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_bites", lambda _facts: iter(()))
    assert main(["doctor"]) == 0
