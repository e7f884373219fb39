"""What is done to one file, and what comes out. Plain functions: no executor is known here.

Results are named tuples of numbers and strings, so that those of two ways can be compared, hashed and sent
between processes.
"""

import ast
import hashlib
import zlib
from pathlib import Path
from typing import NamedTuple

from .complexity import Function, functions
from .corpus import Source

COMPRESSION_LEVEL = 9


class Compressed(NamedTuple):
    """A file's SHA-256, its size and its compressed size in bytes, and the SHA-256 of the compressed bytes."""

    sha256: str
    size: int
    packed: int
    packed_sha256: str


class Analysed(NamedTuple):
    """The figures of a file's functions; `error` names the exception when the file can't be parsed, else empty."""

    functions: tuple[Function, ...]
    error: str


class Fetched(NamedTuple):
    """The SHA-256 and the size in bytes of what the server sent."""

    sha256: str
    size: int


class Sharpened(NamedTuple):
    """The shape of an array, and the SHA-256 of its numbers."""

    shape: tuple[int, ...]
    sha256: str


class Piped(NamedTuple):
    """What the three stages of the pipeline made of one file."""

    compressed: Compressed
    analysed: Analysed


Result = Compressed | Analysed | Fetched | Piped | Sharpened


def compress(data: bytes) -> Compressed:
    """Hash and compress `data`. hashlib and zlib release the GIL, so threads run this on several cores."""
    packed = zlib.compress(data, COMPRESSION_LEVEL)
    return Compressed(
        hashlib.sha256(data).hexdigest(), len(data), len(packed), hashlib.sha256(packed).hexdigest()
    )


def analyse(data: bytes) -> Analysed:
    """Parse `data` and compute its functions' figures. All of it is Python's own work and holds the GIL."""
    try:
        return Analysed(functions(ast.parse(data)), "")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # What ast.parse says of text that is no Python, of null bytes, and of nesting beyond its limits.
        return Analysed((), type(error).__name__)


def receive(data: bytes) -> Fetched:
    """Note what was fetched."""
    return Fetched(hashlib.sha256(data).hexdigest(), len(data))


def compress_file(file: Source) -> Compressed:
    """Read one file, then hash and compress it."""
    return compress(Path(file.path).read_bytes())


def analyse_file(file: Source) -> Analysed:
    """Read one file, then analyse it."""
    return analyse(Path(file.path).read_bytes())
