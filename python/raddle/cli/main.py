"""The parser of `raddle`, and what every command has in common.

Exit codes: 0 done; 1 the command has found something to be wrong, or could not be done; 2 it was called in a wrong way;
130 Ctrl-C. Errors are one line on standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from raddle._internal import __version__
from raddle.cli import completion, doctor
from raddle.cli.errors import CommandError

INTERRUPTED = 130
BROKEN_PIPE = 141
"""As a shell has it for a process that SIGPIPE ended: who read the output has gone."""

_EXIT_CODES = "exit codes: 0 done; 1 something is wrong; 2 called in a wrong way; 130 Ctrl-C"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; the function that does a command stands in its options as `do`."""
    parser = argparse.ArgumentParser(
        prog="raddle", description="One concurrency runtime for Python.", epilog=_EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"raddle {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (doctor, completion):
        command.add(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Args:
        arguments: what stands behind `raddle`; None for those of this process.

    Returns:
        The exit code.

    Raises:
        SystemExit: the arguments are wrong, or asked for help.
    """
    options = parser().parse_args(arguments)
    try:
        code: int = options.do(options)
        sys.stdout.flush()
    except CommandError as error:
        print(f"raddle: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter would stumble over it again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code
