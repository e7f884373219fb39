"""Three stages joined by bounded queues: fetch a file, compress it, analyse it.

Each stage has threads of its own, and no stage runs far ahead of the next, however large the input: that is what the
bounds are for. The two versions show what the stdlib asks of whoever writes this, and what Raddle asks.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import raddle

from .client import Client
from .corpus import Source
from .interrupt import interrupt_at_checks
from .jobs import Compressed, Piped, analyse, compress
from .ways import Tick

Item = TypeVar("Item")

QUEUE_SIZE = 64
"""How many files may wait between two stages."""


class _Parcel(NamedTuple):
    """A file on its way through the stages: its bytes, and what has come of it so far."""

    name: str
    data: bytes
    compressed: Compressed | None = None
    piped: Piped | None = None


def fetch_stage(client: Client, file: Source) -> _Parcel:
    """First stage: from the server."""
    return _Parcel(file.name, client.get(file))


def compress_stage(parcel: _Parcel) -> _Parcel:
    """Second stage: hash and compress."""
    return parcel._replace(compressed=compress(parcel.data))


def analyse_stage(parcel: _Parcel) -> _Parcel:
    """Third stage: figures per function. The bytes have done their work and are let go."""
    assert parcel.compressed is not None
    return _Parcel(parcel.name, b"", piped=Piped(parcel.compressed, analyse(parcel.data)))


def serial_pipeline(client: Client, file: Source) -> Piped:
    """All stages for one file, one after the other."""
    return _piped(analyse_stage(compress_stage(fetch_stage(client, file))))


def raddle_pipeline(
    client: Client, files: Sequence[Source], tick: Tick, connections: int, workers: int
) -> dict[str, Piped]:
    """The stages as three maps, each reading the one before only `buffersize` ahead.

    Errors and Ctrl-C need no code: no map is more than its buffer ahead, and Ctrl-C that leaves the ``with`` block
    cancels that too.
    """
    results = {}
    with (
        raddle.ThreadPoolExecutor(connections, "fetch") as fetchers,
        raddle.ThreadPoolExecutor(workers, "compress") as compressors,
        raddle.ThreadPoolExecutor(workers, "analyse") as analysers,
    ):
        ahead = connections + QUEUE_SIZE
        fetched = fetchers.map(lambda file: fetch_stage(client, file), files, buffersize=ahead, ordered=False)
        compressed = compressors.map(compress_stage, fetched, buffersize=QUEUE_SIZE, ordered=False)
        for parcel in analysers.map(analyse_stage, compressed, buffersize=QUEUE_SIZE, ordered=False):
            results[parcel.name] = _piped(parcel)
            tick()
    return results


def stdlib_pipeline(
    client: Client, files: Sequence[Source], tick: Tick, connections: int, workers: int
) -> dict[str, Piped]:
    """The stages as `threading.Thread` and `queue.Queue`.

    A failure in a stage, and Ctrl-C in this thread, have to reach every thread that is blocked on a queue. So the
    line is run empty: everyone goes on taking from his queue, but drops what he takes, until the end comes through.
    """
    line = _Line()
    to_fetch: queue.Queue[Source | None] = queue.Queue(QUEUE_SIZE)
    to_compress: queue.Queue[_Parcel | None] = queue.Queue(QUEUE_SIZE)
    to_analyse: queue.Queue[_Parcel | None] = queue.Queue(QUEUE_SIZE)
    done: queue.Queue[_Parcel | None] = queue.Queue(QUEUE_SIZE)
    threads = [
        threading.Thread(target=line.feed, args=(files, to_fetch), daemon=True),
        *line.stage(lambda file: fetch_stage(client, file), connections, to_fetch, to_compress),
        *line.stage(compress_stage, workers, to_compress, to_analyse),
        *line.stage(analyse_stage, workers, to_analyse, done),
    ]
    parcels = iter(done.get, None)
    results = {}
    with interrupt_at_checks():
        for thread in threads:
            thread.start()
        try:
            for parcel in parcels:
                results[parcel.name] = _piped(parcel)
                tick()
        finally:
            line.stopped = True
            for _ in parcels:
                pass
            for thread in threads:
                thread.join()
    if line.error is not None:
        raise line.error
    return results


class _Line:
    """What the stages of the stdlib's pipeline share: whether to go on, and the first error. None ends a queue."""

    def __init__(self) -> None:
        self.stopped = False
        self.error: BaseException | None = None

    def feed(self, files: Sequence[Source], sink: "queue.Queue[Source | None]") -> None:
        """Put the files into the first queue."""
        for file in files:
            if self.stopped:
                break
            sink.put(file)
        sink.put(None)

    def stage(
        self,
        work: Callable[[Item], _Parcel],
        workers: int,
        source: "queue.Queue[Item | None]",
        sink: "queue.Queue[_Parcel | None]",
    ) -> list[threading.Thread]:
        """Return the threads, not yet started, that take from `source`, work, and put into `sink`."""
        lock = threading.Lock()
        working = workers

        def run() -> None:
            nonlocal working
            while (item := source.get()) is not None:
                if self.stopped:
                    continue
                try:
                    parcel = work(item)
                except BaseException as error:
                    self.error = self.error or error
                    self.stopped = True
                else:
                    sink.put(parcel)
            # The end goes round to the others of this stage; the last of them hands it on.
            source.put(None)
            with lock:
                working -= 1
                last = working == 0
            if last:
                sink.put(None)

        return [threading.Thread(target=run, daemon=True) for _ in range(workers)]


def _piped(parcel: _Parcel) -> Piped:
    assert parcel.piped is not None
    return parcel.piped
