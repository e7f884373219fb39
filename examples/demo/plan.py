"""Which jobs are run in which ways, on how many files, and with how many workers."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec

from . import arrays, pipeline, ways
from .client import TIMEOUT, Client, connect, fetch_with_asyncio
from .corpus import Corpus, Source
from .jobs import Fetched, Result, analyse_file, compress_file, receive
from .measure import Job, Way, sample
from .server import Address, serve
from .ways import Tick

CONNECTIONS = 100
"""Requests under way at a time in the concurrent ways of fetching."""

DELAY = 0.05
"""Seconds that the server takes for an answer."""

SERIAL_SAMPLE = 20
"""Files that the serial ways of fetching are measured with. All of them would take minutes and teach no more."""

PIPELINE_SAMPLE = 240
"""Files that go through the pipeline: what it is made of has been measured with all of them."""

JOBS = ("compress", "analyse", "arrays", "fetch", "pipeline")


def left_out(key: str) -> str:
    """Return the package without which a job can't be done here, or nothing."""
    return "numpy" if key == "arrays" and find_spec("numpy") is None else ""


@contextmanager
def plan(key: str, corpus: Corpus, workers: int) -> Iterator[Job]:
    """Lend the job named `key`; its server, if it has one, runs as long as the block lasts.

    Args:
        key: One of `JOBS`.
        corpus: The files.
        workers: Number of threads or processes for the work that needs a processor.

    Raises:
        OSError: the local server did not start.
    """
    if key == "compress":
        yield _compress(corpus.files, workers)
    elif key == "analyse":
        yield _analyse(corpus.files, workers)
    elif key == "arrays":
        yield _arrays(corpus.files, workers)
    else:
        files = corpus.files if key == "fetch" else sample(corpus.files, PIPELINE_SAMPLE)
        with serve(files, DELAY) as address, connect(address) as client:
            if key == "fetch":
                yield _fetch(files, address, client)
            else:
                yield _pipeline(files, client, workers, len(corpus.files))


def gil_enabled() -> bool:
    """Whether this interpreter runs one thread at a time."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _compress(files: Sequence[Source], workers: int) -> Job:
    return Job(
        "compress",
        "Hash and compress",
        "SHA-256 and zlib release the GIL.",
        files,
        [
            Way("serial", "serial", 1, partial(ways.serial, compress_file)),
            Way("stdlib threads", "stdlib", workers, _with(ways.stdlib_threads, compress_file, workers)),
            Way("Raddle threads", "raddle", workers, _with(ways.raddle_threads, compress_file, workers)),
        ],
    )


def _analyse(files: Sequence[Source], workers: int) -> Job:
    remark = "Parsing holds the GIL: threads take turns." if gil_enabled() else "This interpreter has no GIL."
    return Job(
        "analyse",
        "Parse and measure complexity",
        remark,
        files,
        [
            Way("serial", "serial", 1, partial(ways.serial, analyse_file)),
            Way("stdlib threads", "stdlib", workers, _with(ways.stdlib_threads, analyse_file, workers)),
            Way("Raddle threads", "raddle", workers, _with(ways.raddle_threads, analyse_file, workers)),
            Way("stdlib processes", "stdlib", workers, _with(ways.stdlib_processes, analyse_file, workers)),
            Way("Raddle processes", "raddle", workers, _with(ways.raddle_processes, analyse_file, workers)),
        ],
    )


def _arrays(files: Sequence[Source], workers: int) -> Job:
    images = arrays.spectrograms(files)
    of = partial(arrays.of, images)
    joblib = [Way("joblib", "peer", workers, of(arrays.with_joblib, workers))] if find_spec("joblib") else []
    size = sum(image.nbytes for image in images.values())
    return Job(
        "arrays",
        "Sharpen spectrograms",
        f"Arrays of {size / 1e6:,.0f} MB in all go to the processes, and as many come back.",
        [Source("", name, image.nbytes) for name, image in images.items()],
        [
            Way("serial", "serial", 1, of(arrays.serially)),
            Way("stdlib processes", "stdlib", workers, of(arrays.with_stdlib_processes, workers)),
            *joblib,
            Way("Raddle processes", "raddle", workers, of(arrays.with_raddle_processes, workers)),
        ],
    )


def _fetch(files: Sequence[Source], address: Address, client: Client) -> Job:
    def get(file: Source) -> Fetched:
        return receive(client.get(file))

    def with_asyncio(files: Sequence[Source], tick: Tick) -> dict[str, Fetched]:
        results = {}

        def received(file: Source, body: bytes) -> None:
            results[file.name] = receive(body)
            tick()

        fetch_with_asyncio(address, files, CONNECTIONS, received)
        return results

    patient = partial(ways.raddle_patient_threads, timeout=TIMEOUT)
    return Job(
        "fetch",
        "Fetch over HTTP",
        f"A local server answers each request after {DELAY * 1000:.0f} ms.",
        files,
        [
            Way("serial", "serial", 1, partial(ways.serial, get), SERIAL_SAMPLE),
            Way("stdlib threads", "stdlib", CONNECTIONS, _with(ways.stdlib_threads, get, CONNECTIONS)),
            Way("Raddle threads", "raddle", CONNECTIONS, _with(patient, get, CONNECTIONS)),
            Way("stdlib asyncio", "stdlib", CONNECTIONS, with_asyncio),
        ],
    )


def _pipeline(files: Sequence[Source], client: Client, workers: int, of: int) -> Job:
    def piped(
        run: Callable[[Client, Sequence[Source], Tick, int, int], Mapping[str, Result]],
    ) -> Callable[[Sequence[Source], Tick], Mapping[str, Result]]:
        return lambda files, tick: run(client, files, tick, CONNECTIONS, workers)

    threads = CONNECTIONS + 2 * workers
    part = f"{len(files)} of the {of:,}" if len(files) < of else "all"
    return Job(
        "pipeline",
        "Pipeline of the three",
        f"Fetch, compress, analyse through bounded queues; {part} files.",
        files,
        [
            Way(
                "serial",
                "serial",
                1,
                partial(ways.serial, partial(pipeline.serial_pipeline, client)),
                SERIAL_SAMPLE,
            ),
            Way("stdlib threads", "stdlib", threads, piped(pipeline.stdlib_pipeline)),
            Way("Raddle threads", "raddle", threads, piped(pipeline.raddle_pipeline)),
        ],
    )


def _with(
    run: Callable[[ways.Work[Result], Sequence[Source], Tick, int], Mapping[str, Result]],
    work: ways.Work[Result],
    workers: int,
) -> Callable[[Sequence[Source], Tick], Mapping[str, Result]]:
    """Fix the work and the number of workers of a way of running it."""
    return lambda files, tick: run(work, files, tick, workers)
