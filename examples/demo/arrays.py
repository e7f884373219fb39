"""Large arrays through worker processes: spectrograms of the files' bytes, sharpened like photographs.

A task gets an array of megabytes and returns one. What that costs is what the ways differ in: the stdlib pickles every
array into a pipe and out of it again, joblib writes arguments to a file that workers map and pickles results, Raddle
writes each once into shared memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import raddle

from .corpus import Source
from .interrupt import interrupt_at_checks, interrupt_later
from .jobs import Sharpened
from .ways import Tick, dropping_queue_on_error, settle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image: TypeAlias = NDArray[np.float32]

WINDOW = 2048
"""Bytes that one column of a spectrogram looks at."""

HOP = 512
"""Bytes from one column to the next."""

COLUMNS = 4096
"""Columns of a spectrogram: 16.8 MB with a row for each of WINDOW / 2 + 1 frequencies."""

MOST = 16
"""Spectrograms at most: they are all in memory at once."""

_REACH = 6
"""Pixels on either side that a blur looks at: three widths of its Gaussian."""


def spectrograms(files: Sequence[Source]) -> dict[str, Image]:
    """Return the spectrograms of the files' bytes, one after the other, by name; the last one is the shorter one.

    The short-time Fourier transform of a signal of bytes, Hann window, logarithm of the magnitude.

    Raises:
        OSError: a file vanished.
    """
    import numpy as np

    wanted = WINDOW + HOP * (MOST * COLUMNS - 1)
    data = bytearray()
    for file in files:
        data += Path(file.path).read_bytes()
        if len(data) >= wanted:
            break
    data += bytes(max(WINDOW - len(data), 0))
    signal = np.frombuffer(data[:wanted], np.uint8)
    columns = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::HOP]
    window = np.hanning(WINDOW).astype(np.float32)
    images = {}
    for number, begin in enumerate(range(0, len(columns), COLUMNS), 1):
        magnitudes = np.abs(np.fft.rfft(columns[begin : begin + COLUMNS] * window))
        images[f"spectrogram {number:02}"] = np.log1p(magnitudes).astype(np.float32)
    return images


def sharpen(image: Image) -> Image:
    """Return an image with the same contrast everywhere: each pixel less its neighbourhood's mean, by its deviation.

    Local contrast normalisation, as Jarrett et al. (2009) have it; the neighbourhood is a Gaussian.
    """
    import numpy as np

    centred = image - _blur(image)
    deviation = np.sqrt(_blur(centred * centred))
    centred /= np.maximum(deviation, deviation.mean())
    return centred


def _blur(image: Image) -> Image:
    """Convolve with a Gaussian, along one axis and then along the other; the edges' pixels go on beyond the edges."""
    import numpy as np

    distances = np.arange(-_REACH, _REACH + 1)
    weights = np.exp(-0.5 * (distances / (_REACH / 3)) ** 2).astype(np.float32)
    weights /= weights.sum()
    for axis in (0, 1):
        padded = np.pad(image, [(_REACH, _REACH) if each == axis else (0, 0) for each in (0, 1)], mode="edge")
        shifts = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis)
        image = np.zeros_like(image)
        for offset, weight in enumerate(weights):
            image += weight * shifts[..., offset]
    return image


def receive(image: Image) -> Sharpened:
    """Note what came back."""
    return Sharpened(image.shape, hashlib.sha256(image).hexdigest())


def serially(images: Mapping[str, Image], tick: Tick) -> dict[str, Sharpened]:
    """One after the other, in the main thread."""
    results = {}
    for name, image in images.items():
        results[name] = receive(sharpen(image))
        tick()
    return results


def with_stdlib_processes(images: Mapping[str, Image], tick: Tick, workers: int) -> dict[str, Sharpened]:
    """`concurrent.futures.ProcessPoolExecutor`; the start of its processes counts, here and below."""
    with interrupt_later():
        resource_tracker.ensure_running()
    pool = futures.ProcessPoolExecutor(workers, get_context("spawn"), initializer=settle)
    results = {}
    with interrupt_at_checks(), dropping_queue_on_error(pool):
        with interrupt_later():
            sharpened = pool.map(sharpen, images.values())
        for name, image in zip(images, sharpened, strict=True):
            results[name] = receive(image)
            tick()
    return results


def with_joblib(images: Mapping[str, Image], tick: Tick, workers: int) -> dict[str, Sharpened]:
    """`joblib.Parallel`, which keeps its processes for the next call unless they are ended, as here."""
    import joblib
    from joblib.externals import loky

    results = {}
    with interrupt_later():
        resource_tracker.ensure_running()
    try:
        with interrupt_at_checks():
            with interrupt_later():
                parallel = joblib.Parallel(workers, return_as="generator")
                sharpened = parallel(joblib.delayed(sharpen)(image) for image in images.values())
            for name, image in zip(images, sharpened, strict=True):
                results[name] = receive(image)
                tick()
    finally:
        loky.get_reusable_executor().shutdown(kill_workers=True)
    return results


def with_raddle_processes(images: Mapping[str, Image], tick: Tick, workers: int) -> dict[str, Sharpened]:
    """`raddle.ProcessPoolExecutor`; numpy is imported once, before the workers are forked."""
    results = {}
    with raddle.ProcessPoolExecutor(workers, initializer=settle, preload=["numpy"]) as pool:
        for name, image in zip(images, pool.map(sharpen, images.values()), strict=True):
            results[name] = receive(image)
            tick()
    return results


def of(
    images: Mapping[str, Image], run: Callable[..., Mapping[str, Sharpened]], *workers: int
) -> Callable[[Sequence[Source], Tick], Mapping[str, Sharpened]]:
    """Fix the images and the number of workers of a way: files of the job stand for the images of the same names."""
    return lambda files, tick: run({file.name: images[file.name] for file in files}, tick, *workers)
