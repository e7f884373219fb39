"""What every command has in common."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

import raddle as package
from raddle.cli import doctor
from raddle.cli.errors import CommandError
from raddle.cli.main import main

from .support import raddle


def test_help_lists_the_commands_and_the_exit_codes() -> None:
    done = raddle("--help")
    assert done.returncode == 0
    for word in ("doctor", "completion", "exit codes"):
        assert word in done.stdout


def test_version() -> None:
    assert raddle("--version").stdout == f"raddle {package.__version__}\n"


def test_the_package_can_be_run_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "raddle", "--version"], capture_output=True, text=True)
    assert done.stdout == f"raddle {package.__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("doctor", "--nonsense")])
def test_a_wrong_call_is_told_on_standard_error(arguments: tuple[str, ...]) -> None:
    done = raddle(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("raddle")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [(CommandError("no luck: try again"), 1, "raddle: no luck: try again\n"), (KeyboardInterrupt(), 130, "")],
)
def test_an_error_of_a_command_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    told: str,
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(doctor, "diagnose", fail)
    assert main(["doctor"]) == code
    assert capsys.readouterr().err == told


def test_a_reader_that_has_gone_is_no_error() -> None:
    done = subprocess.run(
        f"set -o pipefail; {sys.executable} -m raddle doctor --json | true; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "1", "141")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_the_commands(shell: str) -> None:
    pytest.importorskip("shtab")
    done = raddle("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert "doctor" in done.stdout


def test_completion_says_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert capsys.readouterr().err == "raddle: completion needs shtab: pip install 'raddle[cli]'\n"


def test_every_command_says_what_it_does() -> None:
    from raddle.cli.main import parser

    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    told = {action.dest for action in commands._choices_actions if action.help}
    assert told == set(commands.choices)
