"""Processes that are there before the clock runs: the ``Crew`` of processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from benches.sides import Side

#: How processes are started on both sides: nothing is forked from a process in which other libraries run threads.
START = "forkserver"
_SECONDS = 120.0


def context(side: Side) -> Any:
    """Returns the side's context, which has the methods of ``multiprocessing``."""
    return side.multiprocessing.get_context(START)


class Team:
    """Processes that each do their work whenever :meth:`run` is called.

    They live until :meth:`close`, so that their start is not part of what is timed. They are told to begin, and tell
    that they are done, through the stdlib's pipes, on whichever side they work.

    Args:
        side: whose processes they are.
        works: for each process, a function that can be imported, and its arguments.
    """

    def __init__(self, side: Side, works: Sequence[tuple[Callable[..., object], Sequence[Any]]]) -> None:
        self._ends: list[Connection] = []
        self._processes = []
        for work, args in works:
            ours, theirs = multiprocessing.Pipe()
            process = context(side).Process(target=_serve, args=(theirs, work, args), daemon=True)
            process.start()
            theirs.close()
            self._ends.append(ours)
            self._processes.append(process)
        self._hear()

    def _hear(self) -> None:
        for end in self._ends:
            if not end.poll(_SECONDS):
                raise TimeoutError("a process of the team does not end its work")
            error = end.recv()
            if error is not None:
                raise RuntimeError(error)

    def run(self) -> None:
        """Lets all processes go at once and returns when the last one has done its work.

        Raises:
            RuntimeError: what the work of a process raised, in words.
        """
        for end in self._ends:
            end.send(None)
        self._hear()

    def close(self) -> None:
        """Ends the processes."""
        for end in self._ends:
            end.close()
        for process in self._processes:
            process.join(1)
            process.kill()
            process.join()


def _serve(end: Connection, work: Callable[..., object], args: Sequence[Any]) -> None:
    error = None
    try:
        while True:
            end.send(error)
            end.recv()
            try:
                work(*args)
            except Exception as failure:
                error = repr(failure)
    except (EOFError, OSError):
        return
