"""Time a job in each of its ways, and hold every way's results to the others'."""

import gc
import hashlib
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from time import perf_counter
from typing import Literal, NamedTuple, Protocol

from .corpus import Source
from .jobs import Result
from .ways import Tick

Family = Literal["serial", "stdlib", "peer", "raddle"]


class Way(NamedTuple):
    """One way to do a job: its name, whose it is, with how many workers, and the function that does it.

    A way with a `sample` does only so many of the files, and its time is extrapolated to all of them.
    """

    name: str
    family: Family
    workers: int
    run: Callable[[Sequence[Source], Tick], Mapping[str, Result]]
    sample: int | None = None


class Job(NamedTuple):
    """A kind of work over files: a `key` for machines, a title and a remark for people, and its ways, serial first."""

    key: str
    title: str
    remark: str
    files: Sequence[Source]
    ways: Sequence[Way]


class Measurement(NamedTuple):
    """What one way took. `seconds` is for all files; `measured_seconds` for the `measured` of them.

    `digest` is of the results of the measured files; `problem` says how they differ from the other ways', or is
    empty.
    """

    way: Way
    seconds: float
    measured_seconds: float
    measured: int
    digest: str
    problem: str

    @property
    def extrapolated(self) -> bool:
        """Whether `seconds` was measured on a sample only."""
        return self.seconds != self.measured_seconds


class Outcome(NamedTuple):
    """A job with the measurement of each of its ways, and the results that they agreed on."""

    job: Job
    measurements: list[Measurement]
    results: Mapping[str, Result]

    def speedup(self, measurement: Measurement) -> float:
        """How many times faster than the serial way it was."""
        return self.measurements[0].seconds / measurement.seconds


class WayFailed(Exception):
    """A way could not do its job. The message names both and the cause."""


class Progress(Protocol):
    """Who is told how far a way has come; see `progress`."""

    def start(self, job: str, way: str, files: int) -> None:
        """A way begins with so many files."""

    def advance(self) -> None:
        """One more file is done."""

    def finish(self, seconds: float, note: str) -> None:
        """The way is done."""


def measure(job: Job, progress: Progress) -> Outcome:
    """Do the job in all its ways.

    Raises:
        WayFailed: a file vanished, the server went away, or the like.
    """
    agreed: dict[str, Result] = {}
    measurements = []
    for way in job.ways:
        files = sample(job.files, way.sample)
        progress.start(job.title, way.name, len(files))
        # What earlier ways left behind is neither to be collected nor scanned on this one's time.
        gc.collect()
        gc.freeze()
        begin = perf_counter()
        try:
            results = way.run(files, progress.advance)
        except (OSError, HTTPException) as error:
            raise WayFailed(f"{job.title}, {way.name}: {type(error).__name__}: {error}") from error
        seconds = perf_counter() - begin
        problem = disagreement(files, results, agreed)
        if not problem:
            agreed.update(results)
        note = f" for {len(files)} of {len(job.files)}" if len(files) < len(job.files) else ""
        progress.finish(seconds, note)
        whole = seconds * len(job.files) / len(files) if len(files) < len(job.files) else seconds
        measurements.append(Measurement(way, whole, seconds, len(files), digest(results), problem))
    return Outcome(job, measurements, agreed)


def sample(files: Sequence[Source], size: int | None) -> Sequence[Source]:
    """Return `size` files evenly spread over `files`, or all when there are no more than that."""
    if size is None or size >= len(files):
        return files
    return [files[index * len(files) // size] for index in range(size)]


def digest(results: Mapping[str, Result]) -> str:
    """Return the SHA-256, in hexadecimal, of all results in the order of the files' names."""
    total = hashlib.sha256()
    for name in sorted(results):
        total.update(f"{name}\0{results[name]!r}\0".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def disagreement(files: Sequence[Source], results: Mapping[str, Result], agreed: Mapping[str, Result]) -> str:
    """Say how `results` differ from one result per file that equals what was `agreed` before; empty if they don't."""
    wanted = {file.name for file in files}
    if wrong := wanted ^ results.keys():
        return f"{len(wrong)} of {len(wanted)} files lost or invented, the first: {min(wrong)}"
    if wrong := {name for name in wanted & agreed.keys() if results[name] != agreed[name]}:
        return f"other results for {len(wrong)} of {len(wanted)} files, the first: {min(wrong)}"
    return ""
