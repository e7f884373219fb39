"""Live progress on standard error: bars with rich where it is installed and someone watches, plain lines otherwise."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .measure import Progress

if TYPE_CHECKING:
    import rich.progress


@contextmanager
def live_progress(check_interrupt: Callable[[], None]) -> Iterator[Progress]:
    """Lend what tells the reader how far the ways have come.

    Args:
        check_interrupt: Called with every finished file; raises when Ctrl-C got lost.
    """
    if sys.stderr.isatty():
        try:
            import rich.console
            import rich.progress
        except ImportError:
            pass
        else:
            bars = rich.progress.Progress(
                rich.progress.TextColumn("{task.description}"),
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                rich.progress.TimeElapsedColumn(),
                console=rich.console.Console(stderr=True),
                transient=True,
            )
            with bars:
                yield _Bars(bars, check_interrupt)
            return
    yield _Lines(check_interrupt)


class _Bars:
    """One bar per way."""

    def __init__(self, bars: "rich.progress.Progress", check_interrupt: Callable[[], None]) -> None:
        self._bars = bars
        self._check_interrupt = check_interrupt

    def start(self, job: str, way: str, files: int) -> None:
        self._bar = self._bars.add_task(f"{job} · {way}", total=files)

    def advance(self) -> None:
        self._check_interrupt()
        self._bars.advance(self._bar)

    def finish(self, _seconds: float, _note: str) -> None:
        self._bars.stop_task(self._bar)


class _Lines:
    """A line when a way begins, and one when it is done."""

    def __init__(self, check_interrupt: Callable[[], None]) -> None:
        self._check_interrupt = check_interrupt

    def start(self, job: str, way: str, files: int) -> None:
        self._name = f"{job}, {way}"
        print(f"{self._name}: 0 of {files} ...", file=sys.stderr, flush=True)

    def advance(self) -> None:
        self._check_interrupt()

    def finish(self, seconds: float, note: str) -> None:
        print(f"{self._name}: {seconds:.2f} s{note}", file=sys.stderr, flush=True)
