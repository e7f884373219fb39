"""Threads that are there before the clock runs, for work that several do at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from benches.harness import Work


class Crew:
    """Threads that each do their work whenever :meth:`run` is called.

    They live until :meth:`close`, so that their start is not part of what is timed. What they meet at is the stdlib's,
    on whichever side they work.
    """

    def __init__(self, works: Sequence[Work]) -> None:
        self._start = threading.Barrier(len(works) + 1)
        self._end = threading.Barrier(len(works) + 1)
        self._error: BaseException | None = None
        self.threads = [threading.Thread(target=self._serve, args=(work,), daemon=True) for work in works]
        for thread in self.threads:
            thread.start()

    def _serve(self, work: Work) -> None:
        try:
            while True:
                self._start.wait()
                work()
                self._end.wait()
        except threading.BrokenBarrierError:
            return
        except BaseException as error:
            self._error = error
            self._end.abort()

    def run(self) -> None:
        """Lets all threads go at once and returns when the last one has done its work.

        Raises:
            BaseException: what the work of a thread raised.
        """
        self._start.wait()
        try:
            self._end.wait()
        except threading.BrokenBarrierError:
            raise self._error or RuntimeError("the crew was closed") from None

    def close(self) -> None:
        """Ends the threads."""
        self._start.abort()
        self._end.abort()
        for thread in self.threads:
            thread.join()
