"""`raddle completion`: what a shell needs to complete the command line."""

from __future__ import annotations

import argparse

from raddle.cli.errors import CommandError

SHELLS = ("bash", "zsh", "tcsh")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "completion",
        help="print a script that has a shell complete raddle's arguments",
        description='Print a script for a shell: eval "$(raddle completion bash)" in .bashrc.',
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(do=_print_script)


def _print_script(options: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError:
        raise CommandError("completion needs shtab: pip install 'raddle[cli]'") from None
    from raddle.cli.main import parser

    print(shtab.complete(parser(), shell=options.shell))
    return 0
