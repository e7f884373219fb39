"""The bar of `map(progress=True)`: tqdm where installed, else rich."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from raddle._internal.mapping import MapResults

T = TypeVar("T")


class _Bar(Protocol):
    def show(self, done: int) -> None: ...

    def close(self) -> None: ...


class _TqdmBar:
    def __init__(self, total: int | None) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(total=total, unit=" items")

    def show(self, done: int) -> None:
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _RichBar:
    def __init__(self, total: int | None) -> None:
        from rich import progress
        from rich.console import Console
        from rich.text import Text

        class Rate(progress.ProgressColumn):
            def render(self, task: progress.Task) -> Text:
                rate = task.finished_speed or task.speed
                if rate is None and task.completed and task.elapsed:
                    rate = task.completed / task.elapsed  # all of them came at once
                return Text("" if rate is None else f"{rate:,.1f} items/s", style="progress.data.speed")

        columns = (
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            Rate(),
            progress.TimeRemainingColumn(),
        )
        # Like tqdm's, on stderr: the program's output is its own.
        self._bars = progress.Progress(*columns, console=Console(stderr=True))
        self._task = self._bars.add_task("", total=total)
        self._bars.start()

    def show(self, done: int) -> None:
        self._bars.update(self._task, completed=done)

    def close(self) -> None:
        self._bars.stop()


def _bar(total: int | None) -> _Bar:
    for kind in (_TqdmBar, _RichBar):
        try:
            return kind(total)
        except ImportError:
            continue
    raise ImportError("progress=True needs tqdm or rich: pip install 'raddle[cli]'")


class _Drawn(Generic[T]):
    """Results with a bar. Not a generator, which an interrupted `next` would end for good."""

    def __init__(self, results: MapResults[T], bar: _Bar) -> None:
        self._results = results
        self._taken = 0
        self._bar: _Bar | None = bar

    def __iter__(self) -> _Drawn[T]:
        return self

    def __next__(self) -> T:
        try:
            result = next(self._results)
        except Exception:
            self.close()
            raise
        except BaseException:
            # After an interrupt the next call goes on, without a bar.
            self._end_bar()
            raise
        self._taken += 1
        if self._bar is not None:
            # A native map tells how many items are done, which may be far ahead of the results taken in order.
            _, done = getattr(self._results, "progress", (0, self._taken))
            self._bar.show(done)
        return result

    def close(self) -> None:
        """Close the results, and end the bar as it stands."""
        try:
            self._results.close()
        finally:
            self._end_bar()

    def _end_bar(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def __del__(self) -> None:
        self._end_bar()


def with_progress(start: Callable[[], MapResults[T]], total: int | None) -> MapResults[T]:
    """Draw a bar of the items that are done, brought up to date whenever a result is taken.

    Args:
        start: starts the map; called once there is a bar.
        total: how many results there will be, if known.

    Returns:
        Its results.

    Raises:
        ImportError: neither tqdm nor rich is installed.
    """
    bar = _bar(total)
    try:
        return _Drawn(start(), bar)
    except BaseException:
        bar.close()
        raise
