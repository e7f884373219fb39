"""What the stress tests have workers do: in a module of its own, which takes no time to import."""

from __future__ import annotations

import contextlib
import os
import random
import time

FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT


def journal(path: str, number: int, seconds: float = 0) -> int:
    """Write the number, whole whatever happens, and give it back."""
    fd = os.open(path, FLAGS, 0o600)
    os.write(fd, b"%d\n" % number)
    os.close(fd)
    if seconds:
        time.sleep(seconds)
    return number


class Echo(int):
    """A number that comes with bytes."""

    data: bytes


def journal_and_echo(path: str, number: int, data: bytes) -> Echo:
    """The same; the bytes come back as well."""
    echo = Echo(journal(path, number))
    echo.data = bytes(data)
    return echo


def nap(seconds: float) -> None:
    """Sleep."""
    time.sleep(seconds)


def scribble(what: str, seed: int) -> int:
    """Write random bytes over the mappings of this name."""
    rng = random.Random(seed)
    written = 0
    with (
        open("/proc/self/maps", encoding="utf-8") as maps,
        open("/proc/self/mem", "r+b", buffering=0) as memory,
    ):
        for line in maps.read().splitlines():
            if f"/memfd:{what}" not in line:
                continue
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            for _ in range(200):
                with contextlib.suppress(OSError, ValueError):
                    memory.seek(rng.randrange(begin, min(end, begin + (1 << 20))))
                    written += memory.write(rng.randbytes(rng.choice([1, 8, 64, 4096])))
    return written


def nest(depth: int, path: str) -> int:
    """Start a pool whose task starts a pool, and so on; the innermost sleeps."""
    from raddle.futures import ProcessPoolExecutor

    journal(path, os.getpid())
    if depth == 0:
        time.sleep(600)
        return 0
    with ProcessPoolExecutor(2) as pool:
        return pool.submit(nest, depth - 1, path).result()
