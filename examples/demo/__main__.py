"""Entry point of ``python examples/demo``: Ctrl-C ends it with one line, whatever it is doing at the time."""

import sys


def run() -> int:
    """Make the folder importable as the package ``demo``, hand over to its command line, return the exit code."""
    try:
        import signal
        from pathlib import Path

        # An import that is interrupted half-way may swallow the exception; held back, it comes right after.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        sys.path[0] = str(Path(__file__).resolve().parent.parent)
        from demo import cli

        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return cli.main()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
